"""Uncertainty: standard deviations of the residuals from the profile, and quantile offsets of the forecasts."""

from __future__ import annotations

import numpy as np

from shared.domain import residual_process
from shared.domain.hour_of_week import DAY_HOURS, median_by_hour, median_or_zero, nearest_quantiles
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

PRIOR_DAYS, PRIOR_SHARE = 4.0, 0.04
"""Days at which an hour's own deviation weighs as much as that of all hours, and this as much as the prior.

The prior is this share of the range from the lowest to the highest hour of the week.
"""
CLIP_STD, MAX_DAY_SHIFT_STD = 6.0, 12.0
"""Bound of the residuals, and the most by which a day's median shifts it, in standard deviations."""
BACKTEST_HORIZONS, BACKTEST_STEP_HOURS, MIN_BACKTESTS = (0, 1, 3, 7, 12, 23, 72, 168), 5, 60
"""Horizons (hours) of the backtest, hours between its forecasts, and the fewest known errors at each horizon."""
IN_SAMPLE_CORRECTION = np.array([1.22, 1.18, 1.15, 1.13, 1.13, 1.13, 1.15, 1.16])
"""Widening by horizon: profile and kernel share were fitted to the weeks of the backtest."""
RECENT_HOURS, RECENT_PRIOR_HOURS = 168, 168.0
"""Hours whose errors scale the quantiles, and the number of them at which the scaling is applied by half."""
MIN_SCALING, MAX_SCALING = 0.7, 1.5
"""Bounds of that scaling."""
MIN_OFFSET_STD = 0.1
"""Smallest distance of p10 and p90 from p50 before scaling, in standard deviations."""
COLD_START_WIDENING, COLD_START_HOURS = 1.3, 168.0
"""Widening with too few backtests, and the known hours at which it is doubled."""


def residual_std(residuals: Floats, local_hours: Ints, expected: Floats) -> Floats:
    """Return robust standard deviations (168,) by hour of the day, smoothed over the neighbouring hours."""
    hourly, count = median_by_hour(np.abs(residuals), local_hours)
    days = count.mean()
    overall = median_or_zero(np.abs(residuals[~np.isnan(residuals)]))
    overall = (days * overall + PRIOR_DAYS * PRIOR_SHARE * float(np.ptp(expected))) / (days + PRIOR_DAYS)
    overall = max(overall, 1e-4 * float(np.abs(expected).mean()), 1e-9)
    hourly = (count * np.nan_to_num(hourly) + PRIOR_DAYS * overall) / (count + PRIOR_DAYS)
    smooth = (np.roll(hourly, 1) + hourly + np.roll(hourly, -1)) / 3
    return 1.4826 * np.tile(np.clip(smooth, 0.4 * overall, 2.5 * overall), 7)


def clip_outliers(scaled: Floats) -> Floats:
    """Clip residuals (in standard deviations) that are far from zero and from the median of their day."""
    days = np.full(-(-len(scaled) // DAY_HOURS) * DAY_HOURS, np.nan)
    days[-len(scaled) :] = scaled
    medians = np.nan_to_num(median(days.reshape(-1, DAY_HOURS).T))
    medians = np.repeat(np.clip(medians, -MAX_DAY_SHIFT_STD, MAX_DAY_SHIFT_STD), DAY_HOURS)[-len(scaled) :]
    return np.clip(scaled, np.minimum(medians, 0.0) - CLIP_STD, np.maximum(medians, 0.0) + CLIP_STD)


def quantile_offsets(scaled: Floats, long_kernel_share: float) -> Floats:
    """Return the offsets (2, 169) of p10 and p90 in standard deviations, from errors of a backtest.

    They are scaled half of the way to the offsets that would have covered four fifths of the last week's hours. This is
    adaptive conformal prediction (Gibbs and Candès, 2021), by a quantile of the newest scores instead of steps.
    """
    errors = _backtest_errors(scaled, long_kernel_share, BACKTEST_STEP_HOURS)
    if np.count_nonzero(~np.isnan(errors), axis=0).min() < MIN_BACKTESTS:
        return _cold_start(scaled)
    low, high = nearest_quantiles(errors, (0.1, 0.9))
    low, high = np.minimum(low, -MIN_OFFSET_STD), np.maximum(high, MIN_OFFSET_STD)
    recent = scaled[-(residual_process.PAST_HOURS + BACKTEST_HORIZONS[-1] + RECENT_HOURS) :]
    newest = _backtest_errors(recent, long_kernel_share, 1)
    widening = IN_SAMPLE_CORRECTION * _recent_scaling(np.where(newest > 0, newest / high, newest / low))
    horizons, hours = list(BACKTEST_HORIZONS), np.log1p(np.arange(residual_process.FORECAST_HOURS))
    return np.stack([np.interp(hours, hours[horizons], widening * offset) for offset in (low, high)])


def _backtest_errors(scaled: Floats, long_kernel_share: float, step_hours: int) -> Floats:
    """Return errors (n, 8) at the backtest's horizons, newest forecast first; NaN where unknown or in the future."""
    future = np.full(residual_process.FORECAST_HOURS, np.nan)
    short, added, actuals = residual_process.backtest(np.concatenate([scaled, future]), BACKTEST_HORIZONS, step_hours)
    return np.asarray(actuals - short - long_kernel_share * added)


def _recent_scaling(scores: Floats) -> Floats:
    """Return the scaling (8,) of the offsets that the last week needs, at the backtest's horizons.

    `scores`: errors (n, 8) in parts of the unscaled offsets, one row an hour, newest first.
    """
    age = np.arange(len(scores))[:, None] - np.array(BACKTEST_HORIZONS)
    recent = np.where(age <= RECENT_HOURS, scores, np.nan)
    count = np.count_nonzero(~np.isnan(recent), axis=0)
    (scaling,) = nearest_quantiles(recent, (0.8,))
    scaling = np.where(count > 0, scaling, 1.0)
    return np.asarray(np.clip(scaling ** (count / (count + RECENT_PRIOR_HOURS)), MIN_SCALING, MAX_SCALING))


def _cold_start(scaled: Floats) -> Floats:
    """Return the offsets from the residuals of the profile, which was fitted to the same few hours."""
    known = scaled[~np.isnan(scaled)]
    distance = np.maximum(np.abs(np.quantile(known - np.median(known), (0.1, 0.9))), 0.5)
    widening = COLD_START_WIDENING * (1 + COLD_START_HOURS / len(known))
    return np.outer(widening * distance * (-1, 1), residual_process.forecast_std())
