"""Shared by the baselines: a regular minute grid, simple meter checks, and grouping of flags to alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.detection.demand import UTC_OFFSET_SECONDS
from bench.detection.events import LEARNING_DAYS
from bench.detection.scoring import Alarm
from bench.detection.simulator import Record
from shared.domain.series import DAY, HOUR, MINUTE, Floats, Ints

Flags = NDArray[np.bool_]
MEAN_MINUTES = 10
"""Minutes of a mean."""
FALSE_ALARMS_PER_WEEK = 0.5
"""False alarms a week that each part's limit is set for."""


@dataclass(frozen=True)
class ObservedRecord:
    """(n,) minutes of flow and pressure, NaN where no reading was received, with their times in epoch seconds."""

    at: Ints
    flow: Floats
    pressure: Floats
    expected: Floats
    """(n,) expected flow; for the oracle only."""

    @property
    def learning_minutes(self) -> int:
        """Minutes that limits are fitted to: the first three months."""
        return min(LEARNING_DAYS * 1440, len(self.at) // 2)


def observe(record: Record) -> ObservedRecord:
    """Put a record's lines on its grid: the first line of each stamp; stamps outside the grid are lost."""
    lines = record.lines
    index = (lines.at - record.at[0]) // MINUTE
    inside = (index >= 0) & (index < len(record.at))
    flow, pressure = (np.full(len(record.at), np.nan) for _ in range(2))
    for values, source in ((flow, lines.flow), (pressure, lines.pressure)):
        values[index[inside][::-1]] = source[inside][::-1]
    return ObservedRecord(record.at, flow, pressure, record.expected)


def meter_alarms(record: ObservedRecord) -> list[Alarm]:
    """Alarm after 15 minutes without a value, a longer stuck run than in the first months, and implausible values."""
    alarms = []
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        missing = np.isnan(values)
        alarms += group_alarms(record.at, _run_lengths(missing) >= 15, "silence", channel, HOUR)
        same = np.concatenate(([False], values[1:] == values[:-1]))
        runs = _run_lengths(same)
        alarms += group_alarms(
            record.at, runs > max(180, 1.5 * runs[: record.learning_minutes].max()), "stuck", channel, HOUR
        )
        highest = 3 * np.nanmax(values[: record.learning_minutes])
        with np.errstate(invalid="ignore"):
            alarms += group_alarms(record.at, (values < 0) | (values > highest), "out_of_range", channel, HOUR)
    return alarms


def group_alarms(at: Ints, flags: Flags, kind: str, channel: str, gap_seconds: int) -> list[Alarm]:
    """Group flagged times to alarms; times closer than `gap_seconds` form one alarm."""
    times = at[flags]
    if not len(times):
        return []
    step = int(at[1] - at[0])
    cuts = np.flatnonzero(np.diff(times) > gap_seconds)
    starts, stops = times[np.concatenate(([0], cuts + 1))], times[np.append(cuts, len(times) - 1)] + step
    return [Alarm(kind, int(start), int(stop), channel) for start, stop in zip(starts, stops, strict=True)]


def ten_minute_means(values: Floats) -> Floats:
    """Return (n // 10,) ten-minute means, NaN where fewer than half of the minutes are known."""
    rows = values[: len(values) // MEAN_MINUTES * MEAN_MINUTES].reshape(-1, MEAN_MINUTES)
    is_known = ~np.isnan(rows)
    count = is_known.sum(axis=1)
    return np.where(
        count >= MEAN_MINUTES // 2, np.where(is_known, rows, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan
    )


def limit_for_rate(scores: Floats, at: Ints, per_week: float = FALSE_ALARMS_PER_WEEK) -> float:
    """Return the limit that the daily maxima of these scores exceed so often a week."""
    days = (at + UTC_OFFSET_SECONDS) // DAY
    maxima = [np.nanmax(day_scores) for day in np.unique(days) if not np.isnan(day_scores := scores[days == day]).all()]
    return float(np.quantile(maxima, 1 - per_week / 7)) if maxima else np.inf


def slots_of_week(at: Ints) -> Ints:
    """Return the half hour of the local week, 0 to 335."""
    slots: Ints = (at + UTC_OFFSET_SECONDS + 3 * DAY) % (7 * DAY) // 1800
    return slots


def weekly_profile(values: Floats, slots: Ints) -> tuple[Floats, Floats]:
    """Return (336,) median and robust standard deviation (1.4826 MAD) of values by half hour of the week."""
    medians, stds = np.full(336, np.nan), np.full(336, np.nan)
    for slot in range(336):
        known_values = values[(slots == slot) & ~np.isnan(values)]
        if len(known_values):
            medians[slot] = np.median(known_values)
            stds[slot] = 1.4826 * np.median(np.abs(known_values - medians[slot]))
    return medians, np.maximum(stds, 0.25 * np.nanmedian(stds) + 1e-6)


def night_minima(at: Ints, means: Floats) -> tuple[Ints, Floats]:
    """Return the end (epoch seconds) and the lowest ten-minute mean of each night 22:00–05:00."""
    hour = (at + UTC_OFFSET_SECONDS) % DAY // HOUR
    night_number = (at + UTC_OFFSET_SECONDS + 2 * HOUR) // DAY
    inside = ((hour >= 22) | (hour < 5)) & ~np.isnan(means)
    nights, night_index = np.unique(night_number[inside], return_inverse=True)
    lowest = np.full(len(nights), np.inf)
    np.minimum.at(lowest, night_index, means[inside])
    ends: Ints = nights * DAY - UTC_OFFSET_SECONDS + 5 * HOUR
    return ends, lowest


def _run_lengths(flags: Flags) -> Ints:
    """Return (n,) number of consecutive flags that end here."""
    count = np.arange(1, len(flags) + 1)
    last_off = np.maximum.accumulate(np.where(flags, 0, count))
    lengths: Ints = count - last_off
    return lengths
