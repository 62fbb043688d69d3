"""A Gaussian process of the residuals: forecasts them for the next week from the last two weeks.

Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 2; in time also called kriging. A
residual is the sum of components that decay within hours, days and months, of one that recurs at the same hour of the
day, and of noise. Decay times differ from site to site: there are two kernels, and each site's last weeks determine
their shares.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shared.domain.series import Floats

PAST_HOURS = 336
"""Hours of residuals that a forecast uses: two weeks."""
FORECAST_HOURS = 169
"""Horizons of 0 … 168 hours."""
COMPARED_HORIZONS, COMPARISON_STEP_HOURS = (0, 1, 2), 5
"""Horizons (hours) at which the kernels are compared, and hours between these forecasts: they meet all of the day."""
LONG_KERNEL_HOURS = 48
"""Horizon in hours from which on only the short kernel counts."""
SHARE_GRID = np.linspace(-0.2, 1.6, 19)
"""Shares of the long kernel at the next hours; outside of 0 … 1 for sites beyond either kernel."""
PRIOR_SHARE, PRIOR_STRENGTH = 0.5, 4.0
"""Prior of that share, and its weak penalty on other shares, in standard deviations."""


class Kernel(NamedTuple):
    """Covariance function of the residuals; variances in units of the squared residual standard deviation."""

    noise: float
    """Variance of the noise."""
    components: tuple[tuple[float, float], ...]
    """Variance and decay time (hours to 1/e) of each decaying component."""
    daily_variance: float
    """Variance of the component that recurs each day."""
    daily_decay_hours: float
    """Decay time of that component, hours to 1/e."""
    daily_width: float
    """Width of its peaks; 1 is about four hours."""


SHORT_KERNEL = Kernel(0.075, ((0.36, 2.0), (0.23, 63.0), (2.65, 2650.0)), 0.28, 446.0, 0.61)
"""Fitted once to ten real districts and twelve simulated ones, scaled alike."""
LONG_KERNEL = Kernel(0.016, ((0.309, 4.8), (0.961, 220.0), (2.25, 2250.0)), 0.352, 199.0, 1.14)
"""Fitted once to flow and pressure of twenty simulated districts: less noise, and residuals that last for hours."""


def _covariance(kernel: Kernel, lags: Floats) -> Floats:
    """Return the covariance of residuals at lags in hours."""
    decaying: Floats = sum(
        (variance * np.exp(-lags / decay) for variance, decay in kernel.components), np.zeros_like(lags)
    )
    daily = 2 * np.sin(np.pi * lags / 24) ** 2 / kernel.daily_width**2
    return decaying + kernel.daily_variance * np.exp(-lags / kernel.daily_decay_hours - daily)


@cache
def _covariance_by_lag(kernel: Kernel) -> Floats:
    """Return the covariance (505,) at lags of 0 … 504 hours; the matrices below are windows of it without a copy."""
    return _covariance(kernel, np.arange(PAST_HOURS + FORECAST_HOURS, dtype=np.float64))


def _past_covariance(kernel: Kernel) -> Floats:
    """Return the covariance (336, 336) of two weeks of residuals, without noise."""
    by_lag = _covariance_by_lag(kernel)[:PAST_HOURS]
    return sliding_window_view(np.concatenate([by_lag[:0:-1], by_lag]), PAST_HOURS)[::-1]


def _cross_covariance(kernel: Kernel) -> Floats:
    """Return the covariance (169, 336) of the hours ahead with two weeks of residuals."""
    return sliding_window_view(_covariance_by_lag(kernel)[1:], PAST_HOURS)[:, ::-1]


def _precision(kernel: Kernel) -> Floats:
    """Return the inverse covariance (336, 336) of two weeks of residuals."""
    covariance = _covariance_by_lag(kernel)[:PAST_HOURS].copy()
    covariance[0] += kernel.noise
    return _toeplitz_inverse(covariance)


@cache
def _short_precision() -> Floats:
    return _precision(SHORT_KERNEL)


def _toeplitz_inverse(first_row: Floats) -> Floats:
    """Return the inverse (n, n) of the symmetric Toeplitz matrix with a first row (n,), without a second matrix.

    Durbin's and Trench's algorithms: Golub and Van Loan, Matrix Computations (2013), 4.7.
    """
    lags = first_row[1:] / first_row[0]
    solution, beta, alpha = np.zeros(len(lags)), 1.0, -lags[0]
    solution[0] = alpha
    for k in range(1, len(lags)):
        beta *= 1.0 - alpha * alpha
        reversed_solution = solution[:k][::-1].copy()
        alpha = -(lags[k] + float(lags[:k] @ reversed_solution)) / beta
        solution[:k] += alpha * reversed_solution
        solution[k] = alpha
    scale = 1.0 + float(lags @ solution)
    row = np.concatenate([[1.0], solution]) / scale
    inverse: Floats = np.empty((len(first_row), len(first_row)))
    inverse[0] = row
    for k in range(1, len(first_row)):
        inverse[k, 0] = row[k]
        inverse[k, 1:] = inverse[k - 1, :-1] + (row[k] * row[1:] - row[-k] * row[:0:-1]) * scale
    inverse /= first_row[0]
    return inverse


@cache
def forecast_weights() -> Floats:
    """Return the weights (169, 336) of the past residuals in each hour ahead, by the short kernel."""
    return _weights(SHORT_KERNEL, _short_precision(), FORECAST_HOURS)


@cache
def long_kernel_weights() -> Floats:
    """Return what the long kernel adds to these weights (48, 336): all for the next three hours, then less and less."""
    last_compared = COMPARED_HORIZONS[-1]
    horizons = np.maximum(np.arange(LONG_KERNEL_HOURS), last_compared)
    share = 1 - np.log(horizons / last_compared) / np.log(LONG_KERNEL_HOURS / last_compared)
    difference = (
        _weights(LONG_KERNEL, _precision(LONG_KERNEL), LONG_KERNEL_HOURS) - forecast_weights()[:LONG_KERNEL_HOURS]
    )
    return np.asarray(share[:, None] * difference)


def _weights(kernel: Kernel, precision: Floats, hours: int) -> Floats:
    return np.array([row @ precision for row in _cross_covariance(kernel)[:hours]], dtype=np.float64)


@cache
def forecast_std() -> Floats:
    """Return the standard deviation (169,) of the error at each hour ahead, relative to that at the last one."""
    explained = np.sum(forecast_weights() * _cross_covariance(SHORT_KERNEL), axis=1)
    variance = _covariance_by_lag(SHORT_KERNEL)[0] + SHORT_KERNEL.noise - explained
    return np.asarray(np.sqrt(variance / variance[-1]))


def impute(residuals: Floats) -> Floats:
    """Return residuals (336,), oldest first, with the expectation in place of NaN, by the short kernel."""
    unknown = np.isnan(residuals)
    if not unknown.any():
        return residuals
    known = ~unknown
    filled = np.where(unknown, 0.0, residuals)
    if 2 * np.count_nonzero(known) >= PAST_HOURS:  # both branches give the same; this one solves the smaller system
        rows = _short_precision()[unknown]
        filled[unknown] = -np.linalg.solve(rows[:, unknown], rows @ filled)
    elif known.any():
        rows = _past_covariance(SHORT_KERNEL)[:, known]
        covariance = rows[known] + SHORT_KERNEL.noise * np.eye(len(rows[known]))
        filled[unknown] = rows[unknown] @ np.linalg.solve(covariance, residuals[known])
    return filled


def forecast_residuals(residuals: Floats, long_share: float) -> Floats:
    """Return the expected residuals (169,) of the hours ahead, from at most two weeks of residuals, newest last.

    `long_share`: share of the long kernel at the next hours.
    """
    past = np.full(PAST_HOURS, np.nan)
    past[max(0, PAST_HOURS - len(residuals)) :] = residuals[-PAST_HOURS:]
    filled = impute(past)
    expected: Floats = forecast_weights() @ filled
    expected[:LONG_KERNEL_HOURS] += long_share * (long_kernel_weights() @ filled)
    return expected


def backtest(residuals: Floats, horizons: tuple[int, ...], step_hours: int) -> tuple[Floats, Floats, Floats]:
    """Return three arrays (n, horizons): forecasts of the short kernel, what the long one adds, and actuals.

    Forecasts are issued every `step_hours` hours of the past, newest first; horizons in hours, ascending. NaN where
    unknown.
    """
    reach = max(horizons) + 1
    if len(residuals) < PAST_HOURS + reach:
        empty = np.empty((0, len(horizons)))
        return empty, empty, empty
    windows = sliding_window_view(np.nan_to_num(residuals), PAST_HOURS)[:-reach][::-step_hours]
    short, added = np.hsplit(np.ascontiguousarray(windows) @ _backtest_weights(horizons), 2)
    return short, added, sliding_window_view(residuals[PAST_HOURS:], reach)[::-step_hours, list(horizons)]


@cache
def _backtest_weights(horizons: tuple[int, ...]) -> Floats:
    """Return the weights (336, 2 * horizons) of the short kernel at some horizons, and what the long one adds."""
    added = np.zeros((len(horizons), PAST_HOURS))
    near = [horizon for horizon in horizons if horizon < LONG_KERNEL_HOURS]
    added[: len(near)] = long_kernel_weights()[near]
    return np.ascontiguousarray(np.concatenate([forecast_weights()[list(horizons)], added]).T)


def long_kernel_share(residuals: Floats) -> float:
    """Return the share of the long kernel with the smallest error at the next hours in the last weeks."""
    short, added, actuals = backtest(residuals, COMPARED_HORIZONS, COMPARISON_STEP_HOURS)
    known = ~np.isnan(actuals)
    errors = np.abs((actuals - short)[known] - SHARE_GRID[:, None] * added[known]).sum(axis=1)
    return float(SHARE_GRID[np.argmin(errors + PRIOR_STRENGTH * (SHARE_GRID - PRIOR_SHARE) ** 2)])
