"""Whether the time of a reading is believed: decided once, in ingest; it travels as `Reading.clock`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.contract.messages import Clock

JUMP_MINUTES = 60
"""Minutes ahead of the sensor's readings and of the site's clock from which on a reading is doubted."""
JUMP_RUN, LATE_RUN = 6, 60
"""Readings in a row that go on from each other and confirm their clock, ahead and behind; the last is believed."""
DISTANT_PAST_MINUTES = 366 * 1440
"""Minutes behind the sensor's newest reading: no outage lasts longer."""
EARLIEST_SECONDS = 1_262_304_000
"""2010, epoch seconds. Earlier readings are of a meter whose clock was never set."""


@dataclass
class _Meter:
    newest: int | None = None
    """Minute of the newest reading that was believed; after a setback, counted from there."""
    maximum: int = -1
    """Newest minute before the clock was set back."""
    run_end: int = 0
    run: int = 0
    """Readings in a row that go on from each other, apart from `newest`; the last is at `run_end`."""


class ReadingClock:
    """Decides on the readings of all sensors in order of arrival; minutes since the epoch throughout.

    >>> clock = ReadingClock(now=1_000_000_000 // 60 + 40_000_000)
    >>> start = clock.now
    >>> [clock.decide("001", minute) for minute in (start, start + 5_000_000, start + 1)]
    ['ok', 'doubted', 'ok']
    """

    def __init__(self, now: int | None = None, newest_of: Callable[[str], int | None] = lambda _: None) -> None:
        """`now`: minute of the site's clock, None if it has none; `newest_of`: newest stored minute of a sensor."""
        self.now = now
        self._newest_of = newest_of
        self._meters: dict[str, _Meter] = {}

    def on_tick(self, minute: int) -> None:
        """Record the minute that the site's clock has closed."""
        self.now = minute

    def decide(self, sensor: str, minute: int, is_repeated: bool = False) -> Clock:
        """Return the decision; `is_repeated`: whether the sensor has already given this minute."""
        if (meter := self._meters.get(sensor)) is None:
            meter = self._meters[sensor] = _Meter(self._newest_of(sensor))
        newest = meter.newest
        step = 0 if newest is None else minute - newest
        if (newest is None or step > JUMP_MINUTES) and self._is_in_future(minute, newest):
            return self._believe(meter, minute) if self._confirms(meter, minute, JUMP_RUN) else "doubted"
        if step < -JUMP_MINUTES or (newest is None and _is_unset(minute)):
            return self._on_late(meter, minute, step, is_repeated)
        return self._believe(meter, minute)

    def _is_in_future(self, minute: int, newest: int | None) -> bool:
        """Whether the site's clock does not reach a minute that is ahead of the sensor's readings."""
        return newest is not None if self.now is None else minute > self.now + JUMP_MINUTES

    def _on_late(self, meter: _Meter, minute: int, step: int, is_repeated: bool) -> Clock:
        if not is_repeated and self._confirms(meter, minute, LATE_RUN):
            if meter.newest is not None:
                meter.maximum, meter.newest = max(meter.maximum, meter.newest), minute
            return self._believe(meter, minute)
        return "doubted" if _is_unset(minute) or step < -DISTANT_PAST_MINUTES else "ok"

    def _believe(self, meter: _Meter, minute: int) -> Clock:
        meter.newest, meter.run = minute if meter.newest is None else max(meter.newest, minute), 0
        return "set_back" if minute < meter.maximum else "ok"

    @staticmethod
    def _confirms(meter: _Meter, minute: int, run: int) -> bool:
        """Count a reading that is apart from the others; return whether enough have gone on from each other."""
        if meter.run and minute == meter.run_end:
            return False
        meter.run = meter.run + 1 if meter.run and 0 < minute - meter.run_end <= JUMP_MINUTES else 1
        meter.run_end = minute
        return meter.run >= run


def _is_unset(minute: int) -> bool:
    return minute < EARLIEST_SECONDS // 60
