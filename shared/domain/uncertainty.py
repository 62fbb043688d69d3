"""How far a channel's hours usually are from the profile, and its forecasts from what comes."""

from __future__ import annotations

import numpy as np

from shared.domain import residual_process
from shared.domain.hour_of_week import DAY_HOURS, median_by_hour, median_or_zero, nearest_quantiles
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

PRIOR_DAYS, PRIOR_SHARE = 4.0, 0.04
"""Days with which an hour's own spread counts as much as that of all hours, and these as much as a guess:

so much of the way from the lowest to the highest hour of the week.
"""
CLIP_STD, MAX_DAY_SHIFT_STD = 6.0, 12.0
"""Residuals this many usual deviations away are cut; and how far most of a day may lie to be believed."""
BACKTEST_HORIZONS, BACKTEST_STEP_HOURS, MIN_BACKTESTS = (0, 1, 3, 7, 12, 23, 72, 168), 5, 60
"""Hours ahead whose errors of the last weeks are looked at, hours between those forecasts, and fewest of them."""
IN_SAMPLE_CORRECTION = np.array([1.22, 1.18, 1.15, 1.13, 1.13, 1.13, 1.15, 1.16])
"""A profile is nearer to its own weeks than to the next one, and the share of the long memory was chosen in them."""
RECENT_HOURS, RECENT_PRIOR_HOURS = 168, 168.0
"""Hours whose errors tell whether it is calmer or wilder now, and how many of them are half believed."""
MIN_SCALING, MAX_SCALING = 0.7, 1.5
"""Factors by which they may move the quantiles."""
MIN_OFFSET_STD = 0.1
"""Usual deviations that a forecast is never surer of, before it is widened."""
COLD_START_WIDENING, COLD_START_HOURS = 1.3, 168.0
"""The same while there are too few weeks to look at, and known hours at which it is twice that."""


def residual_std(residuals: Floats, local_hours: Ints, expected: Floats) -> Floats:
    """(168,) usual deviations, like standard ones: by hour of the day, smoothed over its neighbours."""
    hourly, count = median_by_hour(np.abs(residuals), local_hours)
    days = count.mean()
    overall = median_or_zero(np.abs(residuals[~np.isnan(residuals)]))
    overall = (days * overall + PRIOR_DAYS * PRIOR_SHARE * float(np.ptp(expected))) / (days + PRIOR_DAYS)
    overall = max(overall, 1e-4 * float(np.abs(expected).mean()), 1e-9)
    hourly = (count * np.nan_to_num(hourly) + PRIOR_DAYS * overall) / (count + PRIOR_DAYS)
    smooth = (np.roll(hourly, 1) + hourly + np.roll(hourly, -1)) / 3
    return 1.4826 * np.tile(np.clip(smooth, 0.4 * overall, 2.5 * overall), 7)


def clip_outliers(scaled: Floats) -> Floats:
    """Residuals in usual deviations, cut where they are far from what is usual and from the median of their day."""
    days = np.full(-(-len(scaled) // DAY_HOURS) * DAY_HOURS, np.nan)
    days[-len(scaled) :] = scaled
    middles = np.nan_to_num(median(days.reshape(-1, DAY_HOURS).T))
    middles = np.repeat(np.clip(middles, -MAX_DAY_SHIFT_STD, MAX_DAY_SHIFT_STD), DAY_HOURS)[-len(scaled) :]
    return np.clip(scaled, np.minimum(middles, 0.0) - CLIP_STD, np.maximum(middles, 0.0) + CLIP_STD)


def quantile_offsets(scaled: Floats, long_kernel_share: float) -> Floats:
    """(2, 169) offsets of p10 and p90, in usual deviations: what forecasts of the last weeks missed by.

    They go half the way to what would have held four fifths of the last week's hours: conformal prediction that
    follows a change (Gibbs and Candès, 2021), by a quantile of the newest scores instead of steps.
    """
    missed = _backtest_errors(scaled, long_kernel_share, BACKTEST_STEP_HOURS)
    if np.count_nonzero(~np.isnan(missed), axis=0).min() < MIN_BACKTESTS:
        return _cold_start(scaled)
    low, high = nearest_quantiles(missed, (0.1, 0.9))
    low, high = np.minimum(low, -MIN_OFFSET_STD), np.maximum(high, MIN_OFFSET_STD)
    newest = _backtest_errors(
        scaled[-(residual_process.PAST_HOURS + BACKTEST_HORIZONS[-1] + RECENT_HOURS) :], long_kernel_share, 1
    )
    wider = IN_SAMPLE_CORRECTION * _recent_scaling(np.where(newest > 0, newest / high, newest / low))
    tried, hours = list(BACKTEST_HORIZONS), np.log1p(np.arange(residual_process.FORECAST_HOURS))
    return np.stack([np.interp(hours, hours[tried], wider * one) for one in (low, high)])


def _backtest_errors(scaled: Floats, long_kernel_share: float, every: int) -> Floats:
    """(n, 8) errors at the horizons that are tried, newest forecast first; NaN where nothing came, or not yet."""
    coming = np.full(residual_process.FORECAST_HOURS, np.nan)
    brief, added, came = residual_process.backtest(np.concatenate([scaled, coming]), BACKTEST_HORIZONS, every)
    return np.asarray(came - brief - long_kernel_share * added)


def _recent_scaling(scores: Floats) -> Floats:
    """(8,) how far off p10 and p90 lie now, in parts of where the last weeks have them, at the horizons that are tried.

    `scores`: errors (n, 8) in these parts, one row an hour, newest first.
    """
    age = np.arange(len(scores))[:, None] - np.array(BACKTEST_HORIZONS)
    known = np.where(age <= RECENT_HOURS, scores, np.nan)
    count = np.count_nonzero(~np.isnan(known), axis=0)
    (needed,) = nearest_quantiles(known, (0.8,))
    needed = np.where(count > 0, needed, 1.0)
    return np.asarray(np.clip(needed ** (count / (count + RECENT_PRIOR_HOURS)), MIN_SCALING, MAX_SCALING))


def _cold_start(scaled: Floats) -> Floats:
    """The same from what differs from the profile, which was learned from the same few hours."""
    known = scaled[~np.isnan(scaled)]
    far = np.maximum(np.abs(np.quantile(known - np.median(known), (0.1, 0.9))), 0.5)
    return np.outer(
        COLD_START_WIDENING * (1 + COLD_START_HOURS / len(known)) * far * (-1, 1), residual_process.forecast_std()
    )
