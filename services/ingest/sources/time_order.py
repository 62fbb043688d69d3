"""Puts late readings in their place: a logger sends a block that it kept during an outage, the newest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from services.ingest.sources.line_reader import BadLine
from services.ingest.sources.parser import Measurement
from shared.domain.lateness import ALLOWED_LATENESS_SECONDS

ALLOWED_LATENESS = timedelta(seconds=ALLOWED_LATENESS_SECONDS)
"""A reading that is later stays where it came."""
GAP = timedelta(hours=1)
"""A reading that is farther ahead is believed only if the next one of its sensor is there as well."""
MAX_REMEMBERED = 4000
"""Times of a sensor that are remembered."""

Item = Measurement | BadLine


def in_time_order(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items in order of time, where a sensor's late reading is of a minute that it has not given before.

    A second value for the same time stays where it came: the meter's clock was set back, or the line was sent again.
    """
    waiting: list[tuple[datetime, int, Item]] = []
    sensors: dict[str, _SensorTimes] = {}
    newest: datetime | None = None
    for number, item in enumerate(items):
        if isinstance(item, BadLine):
            if newest is None:
                yield item
            else:
                heapq.heappush(waiting, (newest, number, item))
            continue
        times = sensors.get(item.sensor)
        if times is None:
            times = sensors[item.sensor] = _SensorTimes()
        for placed in times.place(number, item):
            heapq.heappush(waiting, placed)
        if times.newest is not None and (newest is None or times.newest > newest):
            newest = times.newest
        while newest is not None and waiting and newest - waiting[0][0] > ALLOWED_LATENESS:
            yield heapq.heappop(waiting)[2]
    for times in sensors.values():
        if times.ahead:
            heapq.heappush(waiting, (times.ahead[1].at, *times.ahead))
    while waiting:
        yield heapq.heappop(waiting)[2]


class _SensorTimes:
    """The times that a sensor has given."""

    def __init__(self) -> None:
        self.newest: datetime | None = None
        self.ahead: tuple[int, Measurement] | None = None
        """A reading far ahead of the others and its number, until the next one comes."""
        self._channels: dict[datetime, int] = {}
        """Time to a bit for each channel that has a value."""

    def place(self, number: int, item: Measurement) -> Iterator[tuple[datetime, int, Measurement]]:
        """Yield the place in time and the number of a reading; one far ahead waits for the next."""
        if self.ahead:
            (earlier, stray), self.ahead = self.ahead, None
            is_confirmed = item.at > stray.at - GAP / 2
            yield self._place(stray, is_confirmed), earlier, stray
        if self.newest is not None and item.at - self.newest > GAP:
            self.ahead = (number, item)
        else:
            yield self._place(item, True), number, item

    def _place(self, item: Measurement, is_believed: bool) -> datetime:
        newest = self.newest
        channels = (item.flow_rate is not None) + 2 * (item.pressure is not None)
        known = self._channels.get(item.at, 0)
        is_second = bool(known & channels) or (item.at in self._channels and not channels)
        if newest is not None and (not is_believed or is_second or newest - item.at > ALLOWED_LATENESS):
            return newest
        self._channels[item.at] = known | channels
        if newest is None or item.at > newest:
            self.newest = item.at
            if len(self._channels) > 2 * MAX_REMEMBERED:
                self._channels = dict(list(self._channels.items())[-MAX_REMEMBERED:])
        return item.at
