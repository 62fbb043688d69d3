"""The hour-of-week profile: expected value at each hour of the week, from hourly means in a table of weeks.

Hours are counted: hour h starts at h * 3600 epoch seconds; local hours are the same in site-local wall time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

LOOKBACK_WEEKS = 9
"""Weeks of data that a profile uses."""
DAY_HOURS, WEEK_HOURS = 24, 168
EPOCH_MONDAY_HOUR = 96
"""The first Monday 00:00 after the epoch, in hours."""
WEEK_SHRINKAGE = 9.0
"""Known weeks at which an hour of the week weighs as much as the same hour of all days of its type."""
DAY_TYPES: tuple[tuple[int, ...], ...] = ((0, 1, 2, 3, 4), (5,), (6,))
"""Weekdays with the same daily profile: working days, Saturday, Sunday."""
DAY_DECAY = 0.9
"""Weight of a day relative to the next one of its type; the five working days make 0.9 ** 5 a week."""
ALL_DAYS_WEIGHT = 1e-3
"""Weight in days of the mean of all days within the mean of a day type: small, if one of that type is known."""
CLIP_STD = 4.0
"""Deviations from the median are clipped at this many standard deviations, so that one bad week has little effect."""
IMPLAUSIBLE_RANGES, LEVEL_SHARE = 3.0, 0.25
"""A value is implausible if it differs from its hour's median by more than three times the range from p10 to p90,

plus three times a quarter of the level: a new pressure setting is plausible.
"""
_DAY_TYPE_OF_HOUR = np.repeat(
    [next(i for i, days in enumerate(DAY_TYPES) if day in days) for day in range(7)], DAY_HOURS
)
_DECAY_PER_HOUR = np.array([5.0, 3.0, 3.0])[_DAY_TYPE_OF_HOUR] / WEEK_HOURS
"""Days of the type per hour of age; for weekends more than there are, so that they decay faster."""


def week_slots(local_hours: Ints) -> Ints:
    """Return the hours of the week, 0 … 167 from Monday 00:00."""
    return (local_hours - EPOCH_MONDAY_HOUR) % WEEK_HOURS


def fit_hour_of_week(values: Floats, local_hours: Ints, is_holiday: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the expected value at each hour of the week (168,), and the part of it that the weekday adds (168,).

    The second array is the difference from the day type. Holidays are left out, unless nothing else is known.
    """
    slots = week_slots(local_hours)
    no_working_day = (is_holiday | np.isnan(values)).all()
    used = values if no_working_day else np.where(is_holiday, np.nan, values)
    table = np.full((LOOKBACK_WEEKS + 1, WEEK_HOURS), np.nan)
    table[(local_hours[-1] - local_hours) // WEEK_HOURS, slots] = used
    age = np.arange(LOOKBACK_WEEKS + 1)[:, None] * WEEK_HOURS + (slots[-1] - np.arange(WEEK_HOURS)) % WEEK_HOURS
    return _fit_table(table, DAY_DECAY ** (age * _DECAY_PER_HOUR))


def _fit_table(table: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Fit a table of weeks (10, 168): each hour of the week is shrunk to the same hour of its day type.

    The fewer weeks are known, the stronger the shrinkage. Hours without data follow all days, then the overall mean.
    """
    is_known = ~np.isnan(table)
    center = median(table)
    deviations = table - center
    bound = CLIP_STD * 1.4826 * median_or_zero(np.abs(deviations[is_known]))
    values = np.where(is_known, center + np.clip(deviations, -bound, bound), 0.0)
    weight = is_known * weight
    sums, weights = ((entries.sum(axis=0).reshape(7, 24)) for entries in (weight * values, weight))
    overall = sums.sum() / weights.sum()
    daily = (sums.sum(axis=0) + 1e-6 * overall) / (weights.sum(axis=0) + 1e-6)
    by_type = np.empty((7, 24))
    for day_type in DAY_TYPES:
        days = list(day_type)
        total_weight = weights[days].sum(axis=0) + ALL_DAYS_WEIGHT
        by_type[days] = (sums[days].sum(axis=0) + ALL_DAYS_WEIGHT * daily) / total_weight
    count = is_known.sum(axis=0)
    mean = values.sum(axis=0) / np.maximum(count, 1)
    weekday_effect = count / (count + WEEK_SHRINKAGE) * (mean - by_type.ravel())
    return by_type.ravel() + weekday_effect, weekday_effect


def drop_implausible(values: Floats, local_hours: Ints) -> Floats:
    """Return the values with NaN for implausible ones, such as those of a meter that changed its unit."""
    low, center, high = (float(level[0]) for level in nearest_quantiles(values[:, None], (0.1, 0.5, 0.9)))
    bound = IMPLAUSIBLE_RANGES * (high - low + LEVEL_SHARE * abs(center))
    is_far = np.abs(values - median_by_hour(values, local_hours)[0][local_hours % DAY_HOURS]) > bound
    return np.where(is_far & (bound > 0), np.nan, values)


def median_by_hour(values: Floats, local_hours: Ints) -> tuple[Floats, Ints]:
    """Return the median at each hour of the day (24,), NaN where unknown, and the number of known days (24,)."""
    days = local_hours // DAY_HOURS
    table = np.full((int(days[-1] - days[0]) + 1, DAY_HOURS), np.nan)
    table[days - days[0], local_hours % DAY_HOURS] = values
    return median(table), np.count_nonzero(~np.isnan(table), axis=0)


def nearest_quantiles(table: Floats, levels: tuple[float, ...]) -> list[Floats]:
    """Return the nearest quantiles of each column; NaN is ignored, and no column may be empty."""
    ordered, columns = np.sort(table, axis=0), np.arange(table.shape[1])
    last = np.count_nonzero(~np.isnan(table), axis=0) - 1
    return [ordered[np.rint(level * last).astype(np.intp), columns] for level in levels]


def median_or_zero(values: Floats) -> float:
    """Return the median; 0 for no values."""
    return float(np.median(values)) if len(values) else 0.0
