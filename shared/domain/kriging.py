"""What the residuals of the last two weeks say of the hours ahead: kriging in time, also called a Gaussian process.

Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 2. A residual is the sum of parts that
fade within hours, days and months, of one that comes again at the same hour of the day, and of noise that doesn't last.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shared.domain.series import Floats

PAST = 336
"""Hours that are looked back: two weeks."""
AHEAD = 169
"""Hours ahead, k = 0 … 168."""
PARTS = ((0.36, 2.0), (0.23, 63.0), (2.65, 2650.0))
"""Variance of each fading part, in noise variances of 0.075, and the hours until it has faded to 1/e.

Fitted once to ten real districts and twelve simulated ones, scaled alike; sites differ less than weeks do.
"""
DAILY, DAILY_FADES, DAILY_WIDTH = 0.28, 446.0, 0.61
"""Variance of the part that comes again each day, hours until it has faded, and its width (1: about four hours)."""
NOISE = 0.075


def _covariance(apart: Floats) -> Floats:
    """Covariance of residuals that lie so many hours apart."""
    found: Floats = sum((size * np.exp(-apart / fades) for size, fades in PARTS), np.zeros_like(apart))
    daily = 2 * np.sin(np.pi * apart / 24) ** 2 / DAILY_WIDTH**2
    return found + DAILY * np.exp(-apart / DAILY_FADES - daily)


@cache
def _by_hours() -> Floats:
    """(505,) covariance of residuals 0 … 504 hours apart; the matrices are windows of it, which take no memory."""
    return _covariance(np.arange(PAST + AHEAD, dtype=np.float64))


def _among() -> Floats:
    """(336, 336) covariance of two weeks' residuals, without noise."""
    hours = _by_hours()[:PAST]
    return sliding_window_view(np.concatenate([hours[:0:-1], hours]), PAST)[::-1]


def _across() -> Floats:
    """(169, 336) covariance of the hours ahead with two weeks' residuals."""
    return sliding_window_view(_by_hours()[1:], PAST)[:, ::-1]


@cache
def _precision() -> Floats:
    """(336, 336) inverse covariance of two weeks' residuals."""
    covariance = _by_hours()[:PAST].copy()
    covariance[0] += NOISE
    return _inverse(covariance)


def _inverse(first: Floats) -> Floats:
    """(n, n) inverse of the symmetric Toeplitz matrix with a first row (n,), in the memory of the answer alone.

    Durbin's and Trench's algorithms: Golub and Van Loan, Matrix Computations (2013), 4.7.
    """
    apart = first[1:] / first[0]
    solved, left, last = np.zeros(len(apart)), 1.0, -apart[0]
    solved[0] = last
    for k in range(1, len(apart)):
        left *= 1.0 - last * last
        turned = solved[:k][::-1].copy()
        last = -(apart[k] + float(apart[:k] @ turned)) / left
        solved[:k] += last * turned
        solved[k] = last
    scale = 1.0 + float(apart @ solved)
    row = np.concatenate([[1.0], solved]) / scale
    found: Floats = np.empty((len(first), len(first)))
    found[0] = row
    for k in range(1, len(first)):
        found[k, 0] = row[k]
        found[k, 1:] = found[k - 1, :-1] + (row[k] * row[1:] - row[-k] * row[:0:-1]) * scale
    found /= first[0]
    return found


@cache
def gain() -> Floats:
    """(169, 336) weight of each hour past in each hour ahead."""
    return np.array([row @ _precision() for row in _across()], dtype=np.float64)


@cache
def spread() -> Floats:
    """(169,) standard deviation of the error at each hour ahead, in parts of that at the last one."""
    variance = _by_hours()[0] + NOISE - np.sum(gain() * _across(), axis=1)
    return np.asarray(np.sqrt(variance / variance[-1]))


def fill(residuals: Floats) -> Floats:
    """(336,) residuals, oldest first, with what is likely in the place of those that are NaN."""
    unknown = np.isnan(residuals)
    if not unknown.any():
        return residuals
    known = ~unknown
    filled = np.where(unknown, 0.0, residuals)
    if 2 * np.count_nonzero(known) >= PAST:  # both give the same; the smaller one of the two is solved
        rows = _precision()[unknown]
        filled[unknown] = -np.linalg.solve(rows[:, unknown], rows @ filled)
    elif known.any():
        rows = _among()[:, known]
        among = rows[known] + NOISE * np.eye(len(rows[known]))
        filled[unknown] = rows[unknown] @ np.linalg.solve(among, residuals[known])
    return filled


def ahead(residuals: Floats) -> Floats:
    """(169,) likely residuals of the hours ahead from the last ones, at most two weeks of them, newest last."""
    known = np.full(PAST, np.nan)
    known[max(0, PAST - len(residuals)) :] = residuals[-PAST:]
    found: Floats = gain() @ fill(known)
    return found
