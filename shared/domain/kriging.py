"""What the residuals of the last two weeks say of the hours ahead: kriging in time, also called a Gaussian process.

Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 2. A residual is the sum of parts that
fade within hours, days and months, of one that comes again at the same hour of the day, and of noise that doesn't last.
How long they last differs from site to site: two memories foresee, and each site's last weeks say how much of either.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shared.domain.series import Floats

PAST = 336
"""Hours that are looked back: two weeks."""
AHEAD = 169
"""Hours ahead, k = 0 … 168."""
NEXT, EVERY = (0, 1, 2), 5
"""Hours ahead by which the two memories are compared, and hours between those forecasts: they meet all of the day."""
NEAR = 48
"""Hours ahead from which on the brief memory foresees alone."""
SHARES = np.linspace(-0.2, 1.6, 19)
"""What the long memory may have in a forecast of the next hours: some sites are beyond either memory."""
FIRST_BELIEF, FIRM = 0.5, 4.0
"""Its share while nothing is known, and usual deviations by which that is believed: little."""


class Memory(NamedTuple):
    """How long residuals last; variances in squared usual deviations."""

    noise: float
    """Variance of what doesn't last."""
    parts: tuple[tuple[float, float], ...]
    """Variance of each fading part, and the hours until it has faded to 1/e."""
    daily: float
    """Variance of the part that comes again each day."""
    daily_fades: float
    """Hours until that has faded to 1/e."""
    daily_width: float
    """1: about four hours."""


BRIEF = Memory(0.075, ((0.36, 2.0), (0.23, 63.0), (2.65, 2650.0)), 0.28, 446.0, 0.61)
"""Fitted once to ten real districts and twelve simulated ones, scaled alike."""
LONG = Memory(0.016, ((0.309, 4.8), (0.961, 220.0), (2.25, 2250.0)), 0.352, 199.0, 1.14)
"""Fitted once to flow and pressure of twenty simulated districts: less noise, and what differs lasts for hours."""


def _covariance(memory: Memory, apart: Floats) -> Floats:
    """Covariance of residuals that lie so many hours apart."""
    found: Floats = sum((size * np.exp(-apart / fades) for size, fades in memory.parts), np.zeros_like(apart))
    daily = 2 * np.sin(np.pi * apart / 24) ** 2 / memory.daily_width**2
    return found + memory.daily * np.exp(-apart / memory.daily_fades - daily)


@cache
def _by_hours(memory: Memory) -> Floats:
    """(505,) covariance of residuals 0 … 504 hours apart; the matrices are windows of it, which take no memory."""
    return _covariance(memory, np.arange(PAST + AHEAD, dtype=np.float64))


def _among(memory: Memory) -> Floats:
    """(336, 336) covariance of two weeks' residuals, without noise."""
    hours = _by_hours(memory)[:PAST]
    return sliding_window_view(np.concatenate([hours[:0:-1], hours]), PAST)[::-1]


def _across(memory: Memory) -> Floats:
    """(169, 336) covariance of the hours ahead with two weeks' residuals."""
    return sliding_window_view(_by_hours(memory)[1:], PAST)[:, ::-1]


def _precision(memory: Memory) -> Floats:
    """(336, 336) inverse covariance of two weeks' residuals."""
    covariance = _by_hours(memory)[:PAST].copy()
    covariance[0] += memory.noise
    return _inverse(covariance)


@cache
def _brief_precision() -> Floats:
    return _precision(BRIEF)


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
    """(169, 336) weight of each hour past in each hour ahead, by the brief memory."""
    return _weights(BRIEF, _brief_precision(), AHEAD)


@cache
def long_gain() -> Floats:
    """(48, 336) what the long memory adds to these weights, all of it for the next three hours, less and less later."""
    left = 1 - np.log(np.maximum(np.arange(NEAR), NEXT[-1]) / NEXT[-1]) / np.log(NEAR / NEXT[-1])
    return np.asarray(left[:, None] * (_weights(LONG, _precision(LONG), NEAR) - gain()[:NEAR]))


def _weights(memory: Memory, precision: Floats, hours: int) -> Floats:
    return np.array([row @ precision for row in _across(memory)[:hours]], dtype=np.float64)


@cache
def spread() -> Floats:
    """(169,) standard deviation of the error at each hour ahead, in parts of that at the last one."""
    variance = _by_hours(BRIEF)[0] + BRIEF.noise - np.sum(gain() * _across(BRIEF), axis=1)
    return np.asarray(np.sqrt(variance / variance[-1]))


def fill(residuals: Floats) -> Floats:
    """(336,) residuals, oldest first, with what is likely in the place of those that are NaN, by the brief memory."""
    unknown = np.isnan(residuals)
    if not unknown.any():
        return residuals
    known = ~unknown
    filled = np.where(unknown, 0.0, residuals)
    if 2 * np.count_nonzero(known) >= PAST:  # both give the same; the smaller one of the two is solved
        rows = _brief_precision()[unknown]
        filled[unknown] = -np.linalg.solve(rows[:, unknown], rows @ filled)
    elif known.any():
        rows = _among(BRIEF)[:, known]
        among = rows[known] + BRIEF.noise * np.eye(len(rows[known]))
        filled[unknown] = rows[unknown] @ np.linalg.solve(among, residuals[known])
    return filled


def ahead(residuals: Floats, lasting: float) -> Floats:
    """(169,) likely residuals of the hours ahead from the last ones, at most two weeks of them, newest last.

    `lasting`: share of the long memory in the next hours.
    """
    known = np.full(PAST, np.nan)
    known[max(0, PAST - len(residuals)) :] = residuals[-PAST:]
    filled = fill(known)
    found: Floats = gain() @ filled
    found[:NEAR] += lasting * (long_gain() @ filled)
    return found


def looking_back(residuals: Floats, hours: tuple[int, ...], every: int) -> tuple[Floats, Floats, Floats]:
    """Three times (n, hours): what the brief memory would have foreseen, what the long one adds, and what came.

    Forecasts are made each so many hours of the past, newest first, and tell of some hours ahead, in order of time;
    NaN where unknown.
    """
    reach = max(hours) + 1
    if len(residuals) < PAST + reach:
        nothing = np.empty((0, len(hours)))
        return nothing, nothing, nothing
    windows = sliding_window_view(np.nan_to_num(residuals), PAST)[:-reach][::-every]
    brief, added = np.hsplit(np.ascontiguousarray(windows) @ _weights_at(hours), 2)
    return brief, added, sliding_window_view(residuals[PAST:], reach)[::-every, list(hours)]


@cache
def _weights_at(hours: tuple[int, ...]) -> Floats:
    """(336, 2 * hours) weights of the brief memory at some hours ahead, and what the long one adds to them."""
    added = np.zeros((len(hours), PAST))
    near = [hour for hour in hours if hour < NEAR]
    added[: len(near)] = long_gain()[near]
    return np.ascontiguousarray(np.concatenate([gain()[list(hours)], added]).T)


def lasting(residuals: Floats) -> float:
    """Share of the long memory with which the next hours of the last weeks would have been missed least."""
    brief, added, came = looking_back(residuals, NEXT, EVERY)
    known = ~np.isnan(came)
    missed = np.abs((came - brief)[known] - SHARES[:, None] * added[known]).sum(axis=1)
    return float(SHARES[np.argmin(missed + FIRM * (SHARES - FIRST_BELIEF) ** 2)])
