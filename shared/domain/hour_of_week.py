"""Hours of a channel as a table of weeks, and what they have in common.

Hours are counted: hour h starts at h * 3600 epoch seconds; local hours are the same in site-local wall time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

LOOKBACK_WEEKS = 9
"""Weeks that are looked back."""
DAY_HOURS, WEEK_HOURS = 24, 168
EPOCH_MONDAY_HOUR = 96
"""The first Monday 00:00 after the epoch, in hours."""
WEEK_SHRINKAGE = 9.0
"""Known weeks with which an hour of the week counts as much as the same hour of all days of its type."""
DAY_TYPES: tuple[tuple[int, ...], ...] = ((0, 1, 2, 3, 4), (5,), (6,))
DAY_DECAY = 0.9
"""What a day of like type counts against the next one; all five working days make 0.9 ** 5 a week."""
ALL_DAYS_WEIGHT = 1e-3
"""Days that the mean of all days counts for among those of a type: little, where one of them is known."""
CLIP_STD = 4.0
"""Values this many usual deviations from the median are cut: one bad week must not bend the profile."""
IMPLAUSIBLE_RANGES, LEVEL_SHARE = 3.0, 0.25
"""No flow or pressure lies farther from its hour's median than three times the way from p10 to p90 of all,

and three times a quarter of the level: a pressure that is set anew is believed.
"""
_DAY_TYPE_OF_HOUR = np.repeat(
    [next(i for i, days in enumerate(DAY_TYPES) if day in days) for day in range(7)], DAY_HOURS
)
_DECAY_PER_HOUR = np.array([5.0, 3.0, 3.0])[_DAY_TYPE_OF_HOUR] / WEEK_HOURS
"""Like days that pass in an hour; weekends are forgotten a little faster than they come."""


def week_slots(local_hours: Ints) -> Ints:
    """Hours of the week, 0 … 167 from Monday 00:00."""
    return (local_hours - EPOCH_MONDAY_HOUR) % WEEK_HOURS


def fit_hour_of_week(values: Floats, local_hours: Ints, is_holiday: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(168,) what is usual at each hour of the week, and what its own past adds in that to its type of day.

    Holidays tell nothing of their weekday, unless nothing else is known.
    """
    slots = week_slots(local_hours)
    told = values if (is_holiday | np.isnan(values)).all() else np.where(is_holiday, np.nan, values)
    table = np.full((LOOKBACK_WEEKS + 1, WEEK_HOURS), np.nan)
    table[(local_hours[-1] - local_hours) // WEEK_HOURS, slots] = told
    age = np.arange(LOOKBACK_WEEKS + 1)[:, None] * WEEK_HOURS + (slots[-1] - np.arange(WEEK_HOURS)) % WEEK_HOURS
    return _fit_table(table, DAY_DECAY ** (age * _DECAY_PER_HOUR))


def _fit_table(table: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Of weeks (10, 168): an hour of the week leans on the same hour of like days, the less the more weeks are known;

    one that was never known on that of all days, and at last on the mean of all.
    """
    known = ~np.isnan(table)
    middle = median(table)
    deviations = table - middle
    cut = CLIP_STD * 1.4826 * median_or_zero(np.abs(deviations[known]))
    values = np.where(known, middle + np.clip(deviations, -cut, cut), 0.0)
    weight = known * weight
    sums, weights = ((one.sum(axis=0).reshape(7, 24)) for one in (weight * values, weight))
    overall = sums.sum() / weights.sum()
    daily = (sums.sum(axis=0) + 1e-6 * overall) / (weights.sum(axis=0) + 1e-6)
    typical = np.empty((7, 24))
    for days in DAY_TYPES:
        kind = list(days)
        typical[kind] = (sums[kind].sum(axis=0) + ALL_DAYS_WEIGHT * daily) / (
            weights[kind].sum(axis=0) + ALL_DAYS_WEIGHT
        )
    count = known.sum(axis=0)
    mean = values.sum(axis=0) / np.maximum(count, 1)
    own = count / (count + WEEK_SHRINKAGE) * (mean - typical.ravel())
    return typical.ravel() + own, own


def drop_implausible(values: Floats, local_hours: Ints) -> Floats:
    """Values without those that no week could have: a meter that changed its unit, or showed a number of its own."""
    low, middle, high = (float(one[0]) for one in nearest_quantiles(values[:, None], (0.1, 0.5, 0.9)))
    bound = IMPLAUSIBLE_RANGES * (high - low + LEVEL_SHARE * abs(middle))
    far = np.abs(values - median_by_hour(values, local_hours)[0][local_hours % DAY_HOURS]) > bound
    return np.where(far & (bound > 0), np.nan, values)


def median_by_hour(values: Floats, local_hours: Ints) -> tuple[Floats, Ints]:
    """(24,) median at each hour of the day, NaN where none is known, and of how many days."""
    days = local_hours // DAY_HOURS
    table = np.full((int(days[-1] - days[0]) + 1, DAY_HOURS), np.nan)
    table[days - days[0], local_hours % DAY_HOURS] = values
    return median(table), np.count_nonzero(~np.isnan(table), axis=0)


def nearest_quantiles(table: Floats, levels: tuple[float, ...]) -> list[Floats]:
    """Nearest quantiles of each column; NaN counts as absent, and no column may have nothing else."""
    ordered, columns = np.sort(table, axis=0), np.arange(table.shape[1])
    last = np.count_nonzero(~np.isnan(table), axis=0) - 1
    return [ordered[np.rint(level * last).astype(np.intp), columns] for level in levels]


def median_or_zero(values: Floats) -> float:
    return float(np.median(values)) if len(values) else 0.0
