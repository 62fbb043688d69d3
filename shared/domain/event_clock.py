"""What time it is for those who hear readings and ticks, when the two may come from different clocks."""

from __future__ import annotations

from shared.domain.series import DAY, MINUTE

TICK_CLOCK_TOLERANCE_SECONDS = 25 * DAY
"""Farther than this from live readings, a tick's time comes from a wrong clock."""
MAX_LIVE_STEP_SECONDS = 10 * MINUTE
"""Readings that advance more between two ticks are those of a backlog, and say nothing of now."""


class EventClock:
    """Epoch seconds throughout.

    >>> present = Present()
    >>> for at in (60_000, 60_060):
    ...     present.hear(at)
    ...     _ = present.minute(at)
    >>> present.minute(60_120), present.minute(60_120 + 400 * DAY)
    (60120, 60180)
    """

    def __init__(self) -> None:
        self.event_minute: int | None = None
        """The minute just closed as readings and the number of ticks since have it; None before the first."""
        self.is_live = False
        """Whether readings go at the pace of ticks."""
        self._newest_reading: int | None = None
        self._previous_reading: int | None = None

    def on_reading(self, at: int) -> None:
        """Takes the time of a reading; of those between two ticks the newest counts."""
        self._newest_reading = at if self._newest_reading is None else max(at, self._newest_reading)

    def resolve_tick(self, tick: int) -> int:
        """The minute that a tick closes: the tick's own, unless live readings are far from it."""
        if self._newest_reading is not None:
            self.is_live = (
                self._previous_reading is not None
                and abs(self._newest_reading - self._previous_reading) <= MAX_LIVE_STEP_SECONDS
            )
            self.event_minute = self._previous_reading = self._newest_reading
            self._newest_reading = None
        elif self.event_minute is not None:
            self.event_minute += MINUTE
        return (
            self.event_minute
            if self.event_minute is not None
            and self.is_live
            and abs(tick - self.event_minute) > TICK_CLOCK_TOLERANCE_SECONDS
            else tick
        )
