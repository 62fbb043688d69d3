"""Find the day since which a pressure has had its present setting.

One change point: the split with the least absolute deviations around the medians before and after it (Bai, 1995).
It counts when both levels differ by far more than days usually do.
"""

from __future__ import annotations

import math

import numpy as np

from shared.domain.nan_quantiles import median, median_and_mad_std
from shared.domain.series import Floats, Ints

SEARCH_DAYS = 28
"""Days in which a change is looked for."""
MIN_DAYS_AFTER, MIN_DAYS_BEFORE = 3, 7
"""Days that must have passed since the change, and before it."""
DAYS_PER_WEEK = 7
MIN_CHANGE_STD = 4.0
"""Change of the six most changed hours, in daily standard deviations; more within the first week after the change."""
MOST_CHANGED_HOURS = 6
MIN_STD = 1e-6


def last_change_point(ten_minute_means: Floats, day_types: Ints) -> int:
    """Return the row of the first day after the last level change; 0 without a change.

    ten_minute_means: (n, 144), oldest first; day_types: (n,), so that a weekend is not taken for a change.
    """
    hours = ten_minute_means.reshape(-1, 24, 6).mean(axis=2)
    for day_type in np.unique(day_types):
        hours[day_types == day_type] -= median(hours[day_types == day_type])
    days = len(hours)
    candidates = np.arange(max(MIN_DAYS_BEFORE, days - SEARCH_DAYS), days)
    is_before = (np.arange(days)[:, None] < candidates)[:, :, None]
    deviation = _within_segment_deviation(np.where(is_before, hours[:, None], np.nan)) + _within_segment_deviation(
        np.where(is_before, np.nan, hours[:, None])
    )
    change = int(candidates[deviation.argmin()]) if len(candidates) else 0
    is_long_enough = change and days - change >= MIN_DAYS_AFTER
    return (
        change if is_long_enough and _standardised_level_change(hours[:change], hours[change:]) > MIN_CHANGE_STD else 0
    )


def _within_segment_deviation(hours: Floats) -> Floats:
    """Return (candidates,) absolute distances of (days, candidates, 24) hours from their median over the days."""
    distance = hours - median(hours.reshape(len(hours), -1)).reshape(hours.shape[1:])
    return np.asarray(np.nansum(np.abs(distance), axis=(0, 2)))


def _standardised_level_change(before: Floats, after: Floats) -> float:
    """Return the level change between two spans of days, in standard deviations of an hour between days."""
    (old_level, old_std), (new_level, new_std) = median_and_mad_std(before), median_and_mad_std(after)
    change = np.nan_to_num(np.abs(new_level - old_level) / np.maximum(np.maximum(old_std, new_std), MIN_STD))
    return float(np.sort(change)[-MOST_CHANGED_HOURS:].mean()) * math.sqrt(min(1.0, len(after) / DAYS_PER_WEEK))
