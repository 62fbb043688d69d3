"""Cadence of one channel: the usual interval of its values, and how long it usually pauses.

A value counts for the time until the next one is due. All that counts minutes thus counts time, at any cadence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from shared.domain.series import Floats, Ints

MAX_HOLD_MINUTES = 120
"""Minutes for which a value counts at most; meters with hourly values are the slowest that are judged."""
HOLD_SHARE = 1.5
"""Intervals for which a value counts: the next one may be late by half of an interval."""
MIN_INTERVALS = 3
"""Intervals between the values of a day from which on they show a cadence."""
LATE_INTERVALS = 3
"""Intervals that may pass without a value at least."""
MAX_MISSED_MINUTES = 60
"""Minutes of missed values after which a channel is late, unless three intervals or its own pauses are longer."""
UNKNOWN_LATE_INTERVALS = 16
"""The same while the pauses of MIN_HABIT_DAYS are not known yet."""
UNKNOWN_LATE_MINUTES = 180
"""Minutes after which a channel of unknown interval is late."""
LATE_SHARE = 1.5
"""Usual longest pauses after which a channel is late."""
MIN_HABIT_DAYS, HABIT_DAYS = 3, 14
"""Days whose longest pauses show a habit: at least, and at most."""
MIN_BATCHES, BATCHES_KEPT, BATCH_MEMORY_DAYS = 2, 9, 7
"""Batches that show a habit: at least, and at most; days for which each one counts."""
HABIT_QUANTILE = 0.8
"""Share of the days whose longest pause is usual: a single outage is none."""


@dataclass(frozen=True, slots=True)
class DayCadence:
    """Cadence of one channel on one day; 0 where it had too few values."""

    interval_minutes: int = 0
    """Median interval of the values."""
    longest_pause_minutes: int = 0
    """Longest interval of the values."""


NO_CADENCE = DayCadence()


def day_cadence(minutes: Ints, min_intervals: int = MIN_INTERVALS) -> DayCadence:
    """Return the cadence of ascending minutes with a value; none with fewer intervals than `min_intervals`.

    >>> day_cadence(np.array([0, 15, 30, 45, 105, 120]))
    DayCadence(interval_minutes=15, longest_pause_minutes=60)
    """
    intervals = np.diff(minutes)
    if len(intervals) < min_intervals:
        return NO_CADENCE
    return DayCadence(int(np.median(intervals)), int(intervals.max()))


def hold_minutes(interval_minutes: int) -> int:
    """Return the minutes for which a value counts; 1 at a value a minute.

    >>> hold_minutes(1), hold_minutes(15), hold_minutes(60)
    (1, 23, 90)
    """
    if interval_minutes <= 1:
        return 1
    return min(int(np.ceil(HOLD_SHARE * interval_minutes)), MAX_HOLD_MINUTES)


class BatchHabit:
    """How long a sensor waits between batches of readings that leave no gap, such as the uplinks of a radio."""

    def __init__(self) -> None:
        self._waits: deque[tuple[int, int]] = deque(maxlen=BATCHES_KEPT)
        """Day and minutes of each wait."""

    def add(self, day: int, minutes: int) -> None:
        """Record a wait that a batch of readings has ended."""
        self._waits.append((day, minutes))

    def late_minutes(self, day: int) -> int:
        """Return the minutes after which the next batch is late; 0 while no habit is known."""
        waits = [minutes for added, minutes in self._waits if day - added <= BATCH_MEMORY_DAYS]
        return int(np.ceil(LATE_SHARE * np.median(waits))) if len(waits) >= MIN_BATCHES else 0


def hold_values(values: Floats, minutes: int) -> Floats:
    """Return (n,) values in which each one counts for so many minutes, or until the next one; NaN where unknown.

    >>> hold_values(np.array([np.nan, 2.0, np.nan, np.nan, np.nan]), 3).tolist()
    [nan, 2.0, 2.0, 2.0, nan]
    """
    if minutes <= 1:
        return values
    index = np.arange(len(values))
    newest = np.maximum.accumulate(np.where(np.isnan(values), -1, index))
    counts = (newest >= 0) & (index - newest < minutes)
    return np.where(counts, values[newest], np.nan)


def late_minutes(days: list[DayCadence], interval_minutes: int, shortest: int) -> int:
    """Return the minutes without a value after which a channel is late by its own habit.

    shortest: the limit for a value a minute; so many missed values, up to an hour, make a slower channel late.
    days: its last days, oldest first; interval_minutes: its present interval, 0 if unknown.

    >>> late_minutes([], 1, 10), late_minutes([], 15, 10), late_minutes([DayCadence(15, 45)] * 3, 15, 10)
    (10, 240, 68)
    """
    if interval_minutes <= 0:
        return max(shortest, UNKNOWN_LATE_MINUTES)
    pauses = [day.longest_pause_minutes for day in days[-HABIT_DAYS:] if day.interval_minutes]
    if len(pauses) < MIN_HABIT_DAYS:
        return shortest if interval_minutes == 1 else max(shortest, UNKNOWN_LATE_INTERVALS * interval_minutes)
    pause = float(np.quantile(pauses, HABIT_QUANTILE, method="lower"))
    missed = max(min(shortest * interval_minutes, MAX_MISSED_MINUTES), LATE_INTERVALS * interval_minutes)
    return max(shortest, int(np.ceil(max(missed, LATE_SHARE * pause))))
