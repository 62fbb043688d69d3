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

PAST_HOURS = 336
"""Hours that are looked back: two weeks."""
FORECAST_HOURS = 169
"""Hours ahead, k = 0 … 168."""
COMPARED_HORIZONS, COMPARISON_STEP_HOURS = (0, 1, 2), 5
"""Hours ahead by which the two memories are compared, and hours between those forecasts: they meet all of the day."""
LONG_KERNEL_HOURS = 48
"""Hours ahead from which on the brief memory foresees alone."""
SHARE_GRID = np.linspace(-0.2, 1.6, 19)
"""What the long memory may have in a forecast of the next hours: some sites are beyond either memory."""
PRIOR_SHARE, PRIOR_STRENGTH = 0.5, 4.0
"""Its share while nothing is known, and usual deviations by which that is believed: little."""


class Kernel(NamedTuple):
    """How long residuals last; variances in squared usual deviations."""

    noise: float
    """Variance of what doesn't last."""
    components: tuple[tuple[float, float], ...]
    """Variance of each fading part, and the hours until it has faded to 1/e."""
    daily_variance: float
    """Variance of the part that comes again each day."""
    daily_decay_hours: float
    """Hours until that has faded to 1/e."""
    daily_width: float
    """1: about four hours."""


SHORT_KERNEL = Kernel(0.075, ((0.36, 2.0), (0.23, 63.0), (2.65, 2650.0)), 0.28, 446.0, 0.61)
"""Fitted once to ten real districts and twelve simulated ones, scaled alike."""
LONG_KERNEL = Kernel(0.016, ((0.309, 4.8), (0.961, 220.0), (2.25, 2250.0)), 0.352, 199.0, 1.14)
"""Fitted once to flow and pressure of twenty simulated districts: less noise, and what differs lasts for hours."""


def _covariance(kernel: Kernel, apart: Floats) -> Floats:
    """Covariance of residuals that lie so many hours apart."""
    found: Floats = sum((size * np.exp(-apart / fades) for size, fades in kernel.components), np.zeros_like(apart))
    daily = 2 * np.sin(np.pi * apart / 24) ** 2 / kernel.daily_width**2
    return found + kernel.daily_variance * np.exp(-apart / kernel.daily_decay_hours - daily)


@cache
def _covariance_by_lag(kernel: Kernel) -> Floats:
    """(505,) covariance of residuals 0 … 504 hours apart; the matrices are windows of it, which take no memory."""
    return _covariance(kernel, np.arange(PAST_HOURS + FORECAST_HOURS, dtype=np.float64))


def _past_covariance(kernel: Kernel) -> Floats:
    """(336, 336) covariance of two weeks' residuals, without noise."""
    hours = _covariance_by_lag(kernel)[:PAST_HOURS]
    return sliding_window_view(np.concatenate([hours[:0:-1], hours]), PAST_HOURS)[::-1]


def _cross_covariance(kernel: Kernel) -> Floats:
    """(169, 336) covariance of the hours ahead with two weeks' residuals."""
    return sliding_window_view(_covariance_by_lag(kernel)[1:], PAST_HOURS)[:, ::-1]


def _precision(kernel: Kernel) -> Floats:
    """(336, 336) inverse covariance of two weeks' residuals."""
    covariance = _covariance_by_lag(kernel)[:PAST_HOURS].copy()
    covariance[0] += kernel.noise
    return _toeplitz_inverse(covariance)


@cache
def _short_precision() -> Floats:
    return _precision(SHORT_KERNEL)


def _toeplitz_inverse(first: Floats) -> Floats:
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
def forecast_weights() -> Floats:
    """(169, 336) weight of each hour past in each hour ahead, by the brief memory."""
    return _weights(SHORT_KERNEL, _short_precision(), FORECAST_HOURS)


@cache
def long_kernel_weights() -> Floats:
    """(48, 336) what the long memory adds to these weights, all of it for the next three hours, less and less later."""
    left = 1 - np.log(np.maximum(np.arange(LONG_KERNEL_HOURS), COMPARED_HORIZONS[-1]) / COMPARED_HORIZONS[-1]) / np.log(
        LONG_KERNEL_HOURS / COMPARED_HORIZONS[-1]
    )
    return np.asarray(
        left[:, None]
        * (_weights(LONG_KERNEL, _precision(LONG_KERNEL), LONG_KERNEL_HOURS) - forecast_weights()[:LONG_KERNEL_HOURS])
    )


def _weights(kernel: Kernel, precision: Floats, hours: int) -> Floats:
    return np.array([row @ precision for row in _cross_covariance(kernel)[:hours]], dtype=np.float64)


@cache
def forecast_std() -> Floats:
    """(169,) standard deviation of the error at each hour ahead, in parts of that at the last one."""
    variance = (
        _covariance_by_lag(SHORT_KERNEL)[0]
        + SHORT_KERNEL.noise
        - np.sum(forecast_weights() * _cross_covariance(SHORT_KERNEL), axis=1)
    )
    return np.asarray(np.sqrt(variance / variance[-1]))


def impute(residuals: Floats) -> Floats:
    """(336,) residuals, oldest first, with what is likely in the place of those that are NaN, by the brief memory."""
    unknown = np.isnan(residuals)
    if not unknown.any():
        return residuals
    known = ~unknown
    filled = np.where(unknown, 0.0, residuals)
    if 2 * np.count_nonzero(known) >= PAST_HOURS:  # both give the same; the smaller one of the two is solved
        rows = _short_precision()[unknown]
        filled[unknown] = -np.linalg.solve(rows[:, unknown], rows @ filled)
    elif known.any():
        rows = _past_covariance(SHORT_KERNEL)[:, known]
        among = rows[known] + SHORT_KERNEL.noise * np.eye(len(rows[known]))
        filled[unknown] = rows[unknown] @ np.linalg.solve(among, residuals[known])
    return filled


def forecast_residuals(residuals: Floats, long_share: float) -> Floats:
    """(169,) likely residuals of the hours ahead from the last ones, at most two weeks of them, newest last.

    `lasting`: share of the long memory in the next hours.
    """
    known = np.full(PAST_HOURS, np.nan)
    known[max(0, PAST_HOURS - len(residuals)) :] = residuals[-PAST_HOURS:]
    filled = impute(known)
    found: Floats = forecast_weights() @ filled
    found[:LONG_KERNEL_HOURS] += long_share * (long_kernel_weights() @ filled)
    return found


def backtest(residuals: Floats, hours: tuple[int, ...], every: int) -> tuple[Floats, Floats, Floats]:
    """Three times (n, hours): what the brief memory would have foreseen, what the long one adds, and what came.

    Forecasts are made each so many hours of the past, newest first, and tell of some hours ahead, in order of time;
    NaN where unknown.
    """
    reach = max(hours) + 1
    if len(residuals) < PAST_HOURS + reach:
        nothing = np.empty((0, len(hours)))
        return nothing, nothing, nothing
    windows = sliding_window_view(np.nan_to_num(residuals), PAST_HOURS)[:-reach][::-every]
    brief, added = np.hsplit(np.ascontiguousarray(windows) @ _backtest_weights(hours), 2)
    return brief, added, sliding_window_view(residuals[PAST_HOURS:], reach)[::-every, list(hours)]


@cache
def _backtest_weights(hours: tuple[int, ...]) -> Floats:
    """(336, 2 * hours) weights of the brief memory at some hours ahead, and what the long one adds to them."""
    added = np.zeros((len(hours), PAST_HOURS))
    near = [hour for hour in hours if hour < LONG_KERNEL_HOURS]
    added[: len(near)] = long_kernel_weights()[near]
    return np.ascontiguousarray(np.concatenate([forecast_weights()[list(hours)], added]).T)


def long_kernel_share(residuals: Floats) -> float:
    """Share of the long memory with which the next hours of the last weeks would have been missed least."""
    brief, added, came = backtest(residuals, COMPARED_HORIZONS, COMPARISON_STEP_HOURS)
    known = ~np.isnan(came)
    missed = np.abs((came - brief)[known] - SHARE_GRID[:, None] * added[known]).sum(axis=1)
    return float(SHARE_GRID[np.argmin(missed + PRIOR_STRENGTH * (SHARE_GRID - PRIOR_SHARE) ** 2)])
