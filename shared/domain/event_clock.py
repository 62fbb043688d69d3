"""The present time for consumers of readings and ticks, which may come from different clocks."""

from __future__ import annotations

from shared.domain.series import DAY, MINUTE

TICK_CLOCK_TOLERANCE_SECONDS = 25 * DAY
"""A tick whose time differs by more from live readings has a wrong clock."""
MAX_LIVE_STEP_SECONDS = 10 * MINUTE
"""Readings that advance by more between two ticks belong to a backlog and do not show the present time."""


class EventClock:
    """Time of the readings (event time) beside the time of the ticks; epoch seconds throughout.

    >>> clock = EventClock()
    >>> for at in (60_000, 60_060):
    ...     clock.on_reading(at)
    ...     _ = clock.resolve_tick(at)
    >>> clock.resolve_tick(60_120), clock.resolve_tick(60_120 + 400 * DAY)
    (60120, 60180)
    """

    def __init__(self) -> None:
        self.event_minute: int | None = None
        """The minute just closed by the readings and the ticks since the last one; None before the first reading."""
        self.is_live = False
        """Whether readings advance at the pace of ticks."""
        self._newest_reading: int | None = None
        self._previous_reading: int | None = None

    def on_reading(self, at: int) -> None:
        """Record the time of a reading; of those between two ticks the newest counts."""
        self._newest_reading = at if self._newest_reading is None else max(at, self._newest_reading)

    def resolve_tick(self, tick: int) -> int:
        """Return the minute that a tick closes: the tick's own, unless live readings differ too much from it."""
        if self._newest_reading is not None:
            previous, self._previous_reading = self._previous_reading, self._newest_reading
            self.is_live = previous is not None and abs(self._newest_reading - previous) <= MAX_LIVE_STEP_SECONDS
            self.event_minute = self._newest_reading
            self._newest_reading = None
        elif self.event_minute is not None:
            self.event_minute += MINUTE
        if self.event_minute is None or not self.is_live:
            return tick
        return self.event_minute if abs(tick - self.event_minute) > TICK_CLOCK_TOLERANCE_SECONDS else tick
