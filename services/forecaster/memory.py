"""The hourly means of one sensor's last nine weeks, gathered from its readings."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shared.contract.messages import CHANNELS, Channel
from shared.domain.pace import Pace
from shared.domain.present import Present
from shared.domain.series import HOUR, MINUTE, Floats, Series
from shared.domain.timing import local_seconds, offset_seconds

HOURS = 9 * 168
"""Hours that a forecast looks back."""
REMEMBERED = HOURS + 2 * 168
"""Hours that are remembered, so that forecasts of the last two weeks can be made again."""
TURNED_BACK = 60
"""New readings in a row, each more than an hour late, after which the meter's clock is taken to have been set back."""
KNOWN_MINUTES = 30
"""Minutes from which on the mean of an hour is known."""


class Hour:
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

    def mean(self, place: int) -> float:
        """NaN where fewer than half of the minutes are known."""
        count = self.counts[place]
        return self.sums[place] / count if count >= KNOWN_MINUTES else np.nan


class Meter:
    """What the forecaster remembers of one sensor; hours are epoch seconds // 3600."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.newest: int | None = None
        """Newest reading, epoch seconds."""
        self.issued: int | None = None
        """Newest hour that has its forecast."""
        self.doubted: tuple[int, float | None, float | None] | None = None
        """A reading far ahead of all others, until the next one comes."""
        self.pace, self.present = Pace(), Present()
        self._late = 0
        self.hours: dict[int, Hour] = {}
        self.closed = 0
        """The ring below holds the hours before this one."""
        self.ring = np.full((2, HOURS), np.nan)
        self.local = np.zeros(HOURS, dtype=np.int64)

    def hear(self, at: int) -> None:
        """A reading has come."""
        self.pace.hear(at)
        self.present.hear(at)

    def tick(self, at: int) -> int:
        """A minute has closed: which one; live, no more than one a tick, so a clock that leaps ahead ends no hour."""
        self.present.minute(at)
        own = self.present.own
        minute = at if own is None or not self.present.live else min(at, own)
        self.pace.tick(minute)
        return minute

    def turns_back(self, at: int) -> bool:
        """Whether the meter's clock was set back by this reading or those before it: memory goes on from there."""
        hour = self.hours.get(at // HOUR)
        if hour and hour.seen >> at % HOUR // MINUTE & 1:
            return False
        self._late = self._late + 1 if self.newest is not None and at < self.newest - HOUR else 0
        if self._late < TURNED_BACK:
            return False
        self.newest, self.issued, self.closed, self._late = at, at // HOUR - 1, 0, 0
        return True

    def add(self, at: int, flow_rate: float | None, pressure: float | None) -> None:
        """Takes one reading, late ones too; an hour that was closed changes for later forecasts only."""
        number = at // HOUR
        hour = self.hours.get(number)
        if hour is None:
            if self.newest is not None and number <= self.newest // HOUR - REMEMBERED:
                return
            hour = self.hours[number] = Hour()
        hour.add(at % HOUR // MINUTE, (flow_rate, pressure))
        if number < self.closed:
            self._note(number)
        if self.newest is None or at > self.newest:
            self.newest = at

    def mean(self, number: int, channel: Channel) -> float:
        """Mean of an hour, NaN while too little of it is known."""
        hour = self.hours.get(number)
        return hour.mean(CHANNELS.index(channel)) if hour else np.nan

    def before(self, hour: int) -> tuple[dict[Channel, Floats], NDArray[np.int64]]:
        """Hourly means of the nine weeks before an hour, newest last, by channel; and the local hours of them."""
        if hour < self.closed:
            return self._again(hour)
        for number in range(max(self.closed, hour - HOURS), hour):
            self._note(number)
            self.hours.pop(number - REMEMBERED, None)
        self.closed = max(self.closed, hour)
        if len(self.hours) > 3 * HOURS:  # after a leap in time, the hours before it
            self.hours = {number: one for number, one in self.hours.items() if number >= hour - 2 * HOURS}
        order = np.arange(hour - HOURS, hour) % HOURS
        return {channel: self.ring[place, order] for place, channel in enumerate(CHANNELS)}, self.local[order]

    def _again(self, hour: int) -> tuple[dict[Channel, Floats], NDArray[np.int64]]:
        """The same for an hour of the last two weeks, whose oldest hours the ring has no more."""
        numbers = np.arange(hour - HOURS, hour)
        means = {channel: np.array([self.mean(number, channel) for number in numbers.tolist()]) for channel in CHANNELS}
        return means, local_seconds(numbers * HOUR, self.zone) // HOUR

    def _note(self, number: int) -> None:
        hour, slot = self.hours.get(number), number % HOURS
        for place in (0, 1):
            self.ring[place, slot] = hour.mean(place) if hour else np.nan
        self.local[slot] = number + offset_seconds(number * HOUR, self.zone) // HOUR

    def recall(self, past: Series) -> None:
        """Takes over stored readings; an hour that memory knows better stays."""
        if not len(past):
            return
        numbers, starts = np.unique(past.at // HOUR, return_index=True)
        for number, start, stop in zip(numbers.tolist(), starts, [*starts[1:], len(past)], strict=True):
            stored = _hour(past, slice(start, stop))
            if number not in self.hours or stored.seen.bit_count() > self.hours[number].seen.bit_count():
                self.hours[number] = stored
        self.newest = max(self.newest or 0, int(past.at[-1]))
        self.closed = 0


def _hour(past: Series, part: slice) -> Hour:
    seen = sum(1 << int(minute) for minute in past.at[part] % HOUR // MINUTE)
    values = [past.channel(channel)[part].tolist() for channel in CHANNELS]
    known = [[value for value in channel if value == value] for channel in values]
    return Hour(seen, [_total(channel) for channel in known], [len(channel) for channel in known])


def _total(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total
