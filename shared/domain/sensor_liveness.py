"""Whether a sensor lives in the present or catches up with it."""

from __future__ import annotations

from shared.domain.series import MINUTE

BACKLOG_SECONDS = 10 * MINUTE
"""Seconds behind the clock from which on readings are of a backlog."""
BACKLOG_PAUSE_TICKS = 10
"""Ticks that a backlog may stand still before the sensor counts as silent."""


class SensorLiveness:
    """Of one sensor. What lives in the present is silent when a minute brings nothing; a backlog may only stand still,

    because what feeds it does, or what lies between.
    """

    def __init__(self) -> None:
        self._newest_reading: int | None = None
        self._backlog_ticks_left = 0
        self.is_silent = False
        """Whether the last minute brought nothing, and nothing is on its way."""

    @property
    def is_catching_up(self) -> bool:
        """Whether the readings are of long ago, and more of them are on their way."""
        return self._backlog_ticks_left > 0

    def on_reading(self, at: int) -> None:
        """Takes the minute of a reading, epoch seconds."""
        self._newest_reading = at

    def on_tick(self, at: int) -> None:
        """A minute has closed, epoch seconds."""
        if self._newest_reading is None:
            self._backlog_ticks_left = max(0, self._backlog_ticks_left - 1)
            self.is_silent = not self._backlog_ticks_left
        else:
            self._backlog_ticks_left = BACKLOG_PAUSE_TICKS if self._newest_reading < at - BACKLOG_SECONDS else 0
            self._newest_reading, self.is_silent = None, False
