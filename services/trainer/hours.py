"""Stored readings of one channel become hourly means to learn from: gathered and cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from shared.domain import profile
from shared.domain.calendar import NO_HOLIDAYS, Calendar
from shared.domain.features import MEMORY, Inputs, Scaler, inputs
from shared.domain.profile import AHEAD, Outlook
from shared.domain.series import DAY, HOUR, Floats, Ints, Series, hourly_means
from shared.domain.timing import local_seconds

LONGEST_DAYS = 400
"""Days that are learned from at most."""


class Past(Protocol):
    """What is read of stored history."""

    def sensors(self) -> list[str]: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def span(self, sensor: str) -> tuple[int, int] | None: ...
    def anomaly_days(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]: ...


@dataclass(frozen=True)
class Hours:
    """Hourly means of one channel without a gap in time, NaN where unknown or abnormal."""

    sensor: str
    channel: str
    first: int
    """Epoch seconds of the first."""
    values: Floats
    local: Ints
    """Local hours, AHEAD more of them than values."""
    days: int
    """Days of readings, anomalies among them: those of which at least half of the hours are known."""
    calendar: Calendar = NO_HOLIDAYS

    def look(self, hour: int, scaler: Scaler) -> Inputs | None:
        """What the network would have seen at the start of an hour (its index)."""
        past = slice(max(0, hour - MEMORY), hour)
        return inputs(self.values[past], self.local[past], self.local[hour : hour + AHEAD], scaler, self.calendar)

    def usual(self, hour: int) -> Outlook | None:
        """What the profile would have forecast at the start of an hour."""
        past = slice(max(0, hour - MEMORY), hour)
        found = profile.learn(self.values[past], self.local[past], self.calendar)
        return profile.forecast(found, self.local[hour : hour + AHEAD]) if found else None

    def truth(self, hour: int, stop: int) -> Floats:
        """The 169 hours from an hour on, NaN from `stop` on."""
        seen: Floats = np.full(AHEAD, np.nan)
        there = self.values[hour : min(hour + AHEAD, stop)]
        seen[: len(there)] = there
        return seen


def gather(
    past: Past, sensor: str, channels: tuple[str, ...], stop: int, zone: ZoneInfo, calendar: Calendar = NO_HOLIDAYS
) -> Iterator[Hours]:
    """Hours of each channel that was ever measured, up to `stop` (epoch seconds)."""
    span = past.span(sensor)
    stop = stop // HOUR * HOUR
    if span is None:
        return
    start = max(-(-span[0] // HOUR) * HOUR, stop - LONGEST_DAYS * DAY)
    readings = past.readings(sensor, start, stop)
    spans = past.anomaly_days(sensor, start, stop)
    starts = np.arange(start, stop + AHEAD * HOUR, HOUR)
    local = local_seconds(starts, zone) // HOUR
    for channel in channels:
        values = hourly_means(readings.at, readings.channel(channel), start, stop).values
        if not np.isnan(values).all():
            clean = _without(values, spans, start)
            yield Hours(sensor, channel, start, clean, local, _days(values, local), calendar)


def _days(values: Floats, local: Ints) -> int:
    days = (local[: len(values)] - local[0]) // 24
    return int(np.count_nonzero(np.bincount(days, weights=~np.isnan(values)) >= 12))


def _without(values: Floats, spans: list[tuple[int, int]], start: int) -> Floats:
    """Hours inside anomalies become unknown, unless that would be most of what is known."""
    clean = values.copy()
    for opened, cleared in spans:
        clean[max(0, (opened - start) // HOUR) : max(0, -(-(cleared - start) // HOUR))] = np.nan
    return clean if 2 * np.count_nonzero(~np.isnan(clean)) >= np.count_nonzero(~np.isnan(values)) else values
