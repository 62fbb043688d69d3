"""The hourly means of one sensor over the last weeks, computed from its readings."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shared.contract.messages import CHANNELS, Channel
from shared.domain.cadence import hold_minutes
from shared.domain.event_clock import EventClock
from shared.domain.hourly_mean import USUAL_HOURS, required_values, usual_values
from shared.domain.local_time import local_seconds, offset_seconds
from shared.domain.sensor_liveness import SensorLiveness
from shared.domain.series import HOUR, MINUTE, Floats, Series

LOOKBACK_HOURS = 9 * 168
"""Hours before its issue that a forecast uses."""
KEPT_HOURS = LOOKBACK_HOURS + 2 * 168
"""Hours that are kept, so that forecasts of the last two weeks can be recomputed."""


class HourBucket:
    """Sums of one hour; of several readings of a minute only the first counts."""

    __slots__ = ("counts", "seen", "sums")

    def __init__(self, seen: int = 0, sums: list[float] | None = None, counts: list[int] | None = None) -> None:
        self.seen = seen
        """Bit m is set when minute m has a reading."""
        self.sums = sums or [0.0, 0.0]
        """m³/h and bar."""
        self.counts = counts or [0, 0]

    def add(self, minute: int, values: tuple[float | None, float | None]) -> None:
        """Add the reading of a minute (0 … 59)."""
        bit = 1 << minute
        if self.seen & bit:
            return
        self.seen |= bit
        self.complete(values)

    def complete(self, values: tuple[float | None, float | None]) -> None:
        """Add the values that arrived after the other channel of their minute."""
        for index in (0, 1):
            value = values[index]
            if value is not None:
                self.sums[index] += value
                self.counts[index] += 1

    def mean(self, index: int, required: int) -> float:
        """Return the mean of a channel (index in CHANNELS); NaN with fewer values than required."""
        count = self.counts[index]
        return self.sums[index] / count if count >= required else np.nan


class HourlyHistory:
    """The forecaster's state of one sensor; hours are epoch seconds // 3600."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.newest_reading: int | None = None
        """Epoch seconds."""
        self.last_issued_hour: int | None = None
        """Newest hour with a forecast."""
        self.is_last_forecast_empty = False
        """Whether that forecast has no values."""
        self.liveness, self.event_clock = SensorLiveness(), EventClock()
        self._hold_hour, self._hold_seconds = -1, MINUTE
        """Hour of the newest reading for which the seconds that a reading counts were determined."""
        self.buckets: dict[int, HourBucket] = {}
        self.closed_before = 0
        """The ring buffer holds the hours before this one."""
        self.ring = np.full((2, LOOKBACK_HOURS), np.nan)
        self.ring_local_hours = np.zeros(LOOKBACK_HOURS, dtype=np.int64)

    def on_reading_time(self, at: int) -> None:
        """Record the time of a reading."""
        self.liveness.on_reading(at)
        self.event_clock.on_reading(at)

    @property
    def hold_seconds(self) -> int:
        """Seconds for which the newest reading counts; a minute at a reading a minute."""
        if self.newest_reading is None:
            return MINUTE
        newest = self.newest_reading // HOUR
        if newest != self._hold_hour:
            hours = range(newest - USUAL_HOURS, newest)
            usual = usual_values([bucket.seen.bit_count() for hour in hours if (bucket := self.buckets.get(hour))])
            self._hold_hour, self._hold_seconds = newest, MINUTE * hold_minutes(round(HOUR / MINUTE / usual))
        return self._hold_seconds

    def is_hour_complete(self, hour: int) -> bool:
        """Whether no reading before an hour is due any more."""
        return self.newest_reading is not None and self.newest_reading + self.hold_seconds >= hour * HOUR

    def on_tick(self, at: int) -> int:
        """Return the minute that a tick closes: for a live sensor, at most one minute a tick after its readings.

        A clock that jumps ahead thus ends no hour early. The readings of a slow sensor do not show the minute.
        """
        self.event_clock.resolve_tick(at)
        event_minute = self.event_clock.event_minute
        minute = at
        if event_minute is not None and self.event_clock.is_live and self.hold_seconds == MINUTE:
            minute = min(at, event_minute)
        self.liveness.on_tick(minute)
        return minute

    def set_back(self, at: int) -> bool:
        """Continue the forecasts at the time of a meter that was set back; return whether they were ahead of it."""
        if self.newest_reading is None or at >= self.newest_reading - HOUR:
            return False
        self.newest_reading, self.last_issued_hour, self.closed_before = at, at // HOUR - 1, 0
        return True

    def add(self, at: int, flow_rate: float | None, pressure: float | None) -> None:
        """Add a reading; a late one changes only later forecasts."""
        hour = at // HOUR
        bucket = self.buckets.get(hour)
        if bucket is None:
            if self.newest_reading is not None and hour <= self.newest_reading // HOUR - KEPT_HOURS:
                return
            bucket = self.buckets[hour] = HourBucket()
        bucket.add(at % HOUR // MINUTE, (flow_rate, pressure))
        if hour < self.closed_before:
            self._write_slot(hour)
        if self.newest_reading is None or at > self.newest_reading:
            self.newest_reading = at

    def complete(self, at: int, flow_rate: float | None, pressure: float | None) -> None:
        """Add the values that a known minute lacked."""
        if bucket := self.buckets.get(at // HOUR):
            bucket.complete((flow_rate, pressure))
            if at // HOUR < self.closed_before:
                self._write_slot(at // HOUR)

    def mean(self, hour: int, channel: Channel) -> float:
        """Return the mean of an hour; NaN with fewer than half of the usual values."""
        return self._mean(hour, CHANNELS.index(channel))

    def _mean(self, hour: int, index: int) -> float:
        bucket = self.buckets.get(hour)
        if bucket is None:
            return np.nan
        hours = range(hour - USUAL_HOURS + 1, hour + 1)
        counts = [usual.counts[index] for number in hours if (usual := self.buckets.get(number))]
        return bucket.mean(index, required_values(counts))

    def window_before(self, hour: int) -> tuple[dict[Channel, Floats], NDArray[np.int64]]:
        """Return the means of the nine weeks before an hour by channel, newest last, and their local hours."""
        if hour < self.closed_before:
            return self._recompute_window(hour)
        for closed in range(max(self.closed_before, hour - LOOKBACK_HOURS), hour):
            self._write_slot(closed)
            self.buckets.pop(closed - KEPT_HOURS, None)
        self.closed_before = max(self.closed_before, hour)
        if len(self.buckets) > 3 * LOOKBACK_HOURS:  # hours from before a clock jump
            oldest = hour - 2 * LOOKBACK_HOURS
            self.buckets = {number: bucket for number, bucket in self.buckets.items() if number >= oldest}
        order = np.arange(hour - LOOKBACK_HOURS, hour) % LOOKBACK_HOURS
        means = {channel: self.ring[index, order] for index, channel in enumerate(CHANNELS)}
        return means, self.ring_local_hours[order]

    def _recompute_window(self, hour: int) -> tuple[dict[Channel, Floats], NDArray[np.int64]]:
        """Return the same for an hour of the last two weeks, whose oldest hours the ring has lost."""
        hours = np.arange(hour - LOOKBACK_HOURS, hour)
        means = {channel: np.array([self.mean(number, channel) for number in hours.tolist()]) for channel in CHANNELS}
        return means, local_seconds(hours * HOUR, self.zone) // HOUR

    def _write_slot(self, hour: int) -> None:
        slot = hour % LOOKBACK_HOURS
        for index in (0, 1):
            self.ring[index, slot] = self._mean(hour, index)
        self.ring_local_hours[slot] = hour + offset_seconds(hour * HOUR, self.zone) // HOUR

    def load_readings(self, readings: Series) -> None:
        """Load stored readings; hours with more minutes in memory stay as they are."""
        if not len(readings):
            return
        hours, starts = np.unique(readings.at // HOUR, return_index=True)
        for hour, start, stop in zip(hours.tolist(), starts, [*starts[1:], len(readings)], strict=True):
            stored = _bucket_of(readings, slice(start, stop))
            bucket = self.buckets.get(hour)
            if bucket is None or stored.seen.bit_count() > bucket.seen.bit_count():
                self.buckets[hour] = stored
        self.newest_reading = max(self.newest_reading or 0, int(readings.at[-1]))
        self.closed_before = 0


def _bucket_of(readings: Series, part: slice) -> HourBucket:
    seen = sum(1 << int(minute) for minute in readings.at[part] % HOUR // MINUTE)
    values = [readings.channel(channel)[part].tolist() for channel in CHANNELS]
    known = [[value for value in channel if value == value] for channel in values]
    return HourBucket(seen, [sum_in_order(channel) for channel in known], [len(channel) for channel in known])


def sum_in_order(values: list[float]) -> float:
    """Return the sum in the order of the values, with the same rounding as HourBucket.add."""
    total = 0.0
    for value in values:
        total += value
    return total
