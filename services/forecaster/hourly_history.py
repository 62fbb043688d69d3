"""The hourly means of one sensor's last nine weeks, gathered from its readings."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shared.contract.messages import CHANNELS, Channel
from shared.domain.event_clock import EventClock
from shared.domain.local_time import local_seconds, offset_seconds
from shared.domain.sensor_liveness import SensorLiveness
from shared.domain.series import HOUR, MINUTE, Floats, Series

LOOKBACK_HOURS = 9 * 168
"""Hours that a forecast looks back."""
KEPT_HOURS = LOOKBACK_HOURS + 2 * 168
"""Hours that are remembered, so that forecasts of the last two weeks can be made again."""
SETBACK_CONFIRMATIONS = 60
"""New readings in a row, each more than an hour late, after which the meter's clock is taken to have been set back."""
MIN_KNOWN_MINUTES = 30
"""Minutes from which on the mean of an hour is known."""


class HourBucket:
    """Sums of one hour; a minute counts once, the first time it is said."""

    __slots__ = ("counts", "seen", "sums")

    def __init__(self, seen: int = 0, sums: list[float] | None = None, counts: list[int] | None = None) -> None:
        self.seen = seen
        """Bit m: minute m has been said."""
        self.sums = sums or [0.0, 0.0]
        """m³/h and bar"""
        self.counts = counts or [0, 0]

    def add(self, minute: int, values: tuple[float | None, float | None]) -> None:
        bit = 1 << minute
        if self.seen & bit:
            return
        self.seen |= bit
        for place in (0, 1):
            value = values[place]
            if value is not None:
                self.sums[place] += value
                self.counts[place] += 1

    def mean(self, index: int) -> float:
        """NaN where fewer than half of the minutes are known."""
        count = self.counts[index]
        return self.sums[index] / count if count >= MIN_KNOWN_MINUTES else np.nan


class HourlyHistory:
    """What the forecaster remembers of one sensor; hours are epoch seconds // 3600."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.newest_reading: int | None = None
        """Newest reading, epoch seconds."""
        self.last_issued_hour: int | None = None
        """Newest hour that has its forecast."""
        self.jump_candidate: tuple[int, float | None, float | None] | None = None
        """A reading far ahead of all others, until the next one comes."""
        self.liveness, self.event_clock = SensorLiveness(), EventClock()
        self._late_in_a_row = 0
        self.buckets: dict[int, HourBucket] = {}
        self.closed_before = 0
        """The ring below holds the hours before this one."""
        self.ring = np.full((2, LOOKBACK_HOURS), np.nan)
        self.ring_local_hours = np.zeros(LOOKBACK_HOURS, dtype=np.int64)

    def on_reading_time(self, at: int) -> None:
        """A reading has come."""
        self.liveness.on_reading(at)
        self.event_clock.on_reading(at)

    def on_tick(self, at: int) -> int:
        """A minute has closed: which one; live, no more than one a tick, so a clock that leaps ahead ends no hour."""
        self.event_clock.resolve_tick(at)
        own = self.event_clock.event_minute
        minute = at if own is None or not self.event_clock.is_live else min(at, own)
        self.liveness.on_tick(minute)
        return minute

    def detect_clock_setback(self, at: int) -> bool:
        """Whether the meter's clock was set back by this reading or those before it: memory goes on from there."""
        hour = self.buckets.get(at // HOUR)
        if hour and hour.seen >> at % HOUR // MINUTE & 1:
            return False
        self._late_in_a_row = (
            self._late_in_a_row + 1 if self.newest_reading is not None and at < self.newest_reading - HOUR else 0
        )
        if self._late_in_a_row < SETBACK_CONFIRMATIONS:
            return False
        self.newest_reading, self.last_issued_hour, self.closed_before, self._late_in_a_row = at, at // HOUR - 1, 0, 0
        return True

    def add(self, at: int, flow_rate: float | None, pressure: float | None) -> None:
        """Takes one reading, late ones too; an hour that was closed changes for later forecasts only."""
        number = at // HOUR
        hour = self.buckets.get(number)
        if hour is None:
            if self.newest_reading is not None and number <= self.newest_reading // HOUR - KEPT_HOURS:
                return
            hour = self.buckets[number] = HourBucket()
        hour.add(at % HOUR // MINUTE, (flow_rate, pressure))
        if number < self.closed_before:
            self._write_slot(number)
        if self.newest_reading is None or at > self.newest_reading:
            self.newest_reading = at

    def mean(self, number: int, channel: Channel) -> float:
        """Mean of an hour, NaN while too little of it is known."""
        hour = self.buckets.get(number)
        return hour.mean(CHANNELS.index(channel)) if hour else np.nan

    def window_before(self, hour: int) -> tuple[dict[Channel, Floats], NDArray[np.int64]]:
        """Hourly means of the nine weeks before an hour, newest last, by channel; and the local hours of them."""
        if hour < self.closed_before:
            return self._recompute_window(hour)
        for number in range(max(self.closed_before, hour - LOOKBACK_HOURS), hour):
            self._write_slot(number)
            self.buckets.pop(number - KEPT_HOURS, None)
        self.closed_before = max(self.closed_before, hour)
        if len(self.buckets) > 3 * LOOKBACK_HOURS:  # after a leap in time, the hours before it
            self.buckets = {number: one for number, one in self.buckets.items() if number >= hour - 2 * LOOKBACK_HOURS}
        order = np.arange(hour - LOOKBACK_HOURS, hour) % LOOKBACK_HOURS
        return {channel: self.ring[place, order] for place, channel in enumerate(CHANNELS)}, self.ring_local_hours[
            order
        ]

    def _recompute_window(self, hour: int) -> tuple[dict[Channel, Floats], NDArray[np.int64]]:
        """The same for an hour of the last two weeks, whose oldest hours the ring has no more."""
        numbers = np.arange(hour - LOOKBACK_HOURS, hour)
        means = {channel: np.array([self.mean(number, channel) for number in numbers.tolist()]) for channel in CHANNELS}
        return means, local_seconds(numbers * HOUR, self.zone) // HOUR

    def _write_slot(self, number: int) -> None:
        hour, slot = self.buckets.get(number), number % LOOKBACK_HOURS
        for place in (0, 1):
            self.ring[place, slot] = hour.mean(place) if hour else np.nan
        self.ring_local_hours[slot] = number + offset_seconds(number * HOUR, self.zone) // HOUR

    def load_readings(self, readings: Series) -> None:
        """Takes over stored readings; an hour that memory knows better stays."""
        if not len(readings):
            return
        numbers, starts = np.unique(readings.at // HOUR, return_index=True)
        for number, start, stop in zip(numbers.tolist(), starts, [*starts[1:], len(readings)], strict=True):
            stored = _bucket_of(readings, slice(start, stop))
            if number not in self.buckets or stored.seen.bit_count() > self.buckets[number].seen.bit_count():
                self.buckets[number] = stored
        self.newest_reading = max(self.newest_reading or 0, int(readings.at[-1]))
        self.closed_before = 0


def _bucket_of(past: Series, part: slice) -> HourBucket:
    seen = sum(1 << int(minute) for minute in past.at[part] % HOUR // MINUTE)
    values = [past.channel(channel)[part].tolist() for channel in CHANNELS]
    known = [[value for value in channel if value == value] for channel in values]
    return HourBucket(seen, [sum_in_order(channel) for channel in known], [len(channel) for channel in known])


def sum_in_order(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total
