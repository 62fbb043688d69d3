"""The values of recent minutes: a line that is sent again changes nothing, a late half completes its minute."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable

from services.ingest.minutes import Values
from shared.domain.series import DAY, MINUTE, Series

MINUTES_PER_DAY = DAY // MINUTE
MAX_DAYS = 8
"""Days of a sensor whose values are remembered, the last used ones; 3 MB for 16 sensors."""
StoredReadings = Callable[[str, int, int], Series]
"""Returns the stored readings of a sensor of [start, stop), epoch seconds; empty if they can't be read now."""


class _Day:
    """The values of one sensor and UTC day."""

    __slots__ = ("flow_rate", "pressure", "seen")

    def __init__(self) -> None:
        self.seen = bytearray(MINUTES_PER_DAY)
        self.flow_rate, self.pressure = (array("d", [math.nan]) * MINUTES_PER_DAY for _ in range(2))


class KnownMinutes:
    """Remembers what was accepted, and looks up what is stored."""

    def __init__(self, stored: StoredReadings | None = None) -> None:
        self._stored = stored
        self._days: dict[str, dict[int, _Day]] = {}

    def get(self, sensor: str, minute: int) -> Values | None:
        """Return the values of a minute since the epoch; None if the minute is not known."""
        day, index = self._day(sensor, minute), minute % MINUTES_PER_DAY
        if not day.seen[index]:
            return None
        return _or_none(day.flow_rate[index]), _or_none(day.pressure[index])

    def newest_near(self, sensor: str, minute: int) -> int | None:
        """Return the newest known minute of the day of a minute and the two days after it."""
        for number in range(minute // MINUTES_PER_DAY + 2, minute // MINUTES_PER_DAY - 1, -1):
            index = self._day(sensor, number * MINUTES_PER_DAY).seen.rfind(1)
            if index >= 0:
                return number * MINUTES_PER_DAY + index
        return None

    def put(self, sensor: str, minute: int, values: Values) -> None:
        """Remember the values of a minute."""
        day, index = self._day(sensor, minute), minute % MINUTES_PER_DAY
        day.seen[index] = 1
        day.flow_rate[index], day.pressure[index] = (math.nan if value is None else value for value in values)

    def _day(self, sensor: str, minute: int) -> _Day:
        days = self._days.setdefault(sensor, {})
        number = minute // MINUTES_PER_DAY
        day = days.pop(number, None)
        if day is None:
            day = self._load(sensor, number)
            if len(days) >= MAX_DAYS:
                del days[next(iter(days))]
        days[number] = day
        return day

    def _load(self, sensor: str, number: int) -> _Day:
        day = _Day()
        if self._stored:
            series = self._stored(sensor, number * DAY, (number + 1) * DAY)
            for index, at in enumerate(series.at.tolist()):
                minute = at % DAY // MINUTE
                day.seen[minute] = 1
                day.flow_rate[minute], day.pressure[minute] = (
                    float(series.flow_rate[index]),
                    float(series.pressure[index]),
                )
        return day


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
