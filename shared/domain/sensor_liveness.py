"""Liveness of a sensor: live, catching up with a backlog, or silent."""

from __future__ import annotations

from shared.domain.series import MINUTE

BACKLOG_SECONDS = 10 * MINUTE
"""Readings that are older than this belong to a backlog."""
BACKLOG_PAUSE_TICKS = 10
"""Ticks without a reading after which a sensor with a backlog counts as silent."""


class SensorLiveness:
    """Liveness of one sensor.

    A live sensor is silent after one minute without a reading. A backlog may pause for longer, because its source or
    the connection does.
    """

    def __init__(self) -> None:
        self._newest_reading: int | None = None
        """Of the readings since the last tick."""
        self._backlog_ticks_left = 0
        self.is_silent = False
        """Whether the last minute had no reading and no backlog is expected."""

    @property
    def is_catching_up(self) -> bool:
        """Whether the readings are old and more of them are expected."""
        return self._backlog_ticks_left > 0

    def on_reading(self, at: int) -> None:
        """Record the minute of a reading (epoch seconds)."""
        self._newest_reading = at

    def on_tick(self, at: int) -> None:
        """Update the state at the end of a minute (epoch seconds)."""
        if self._newest_reading is None:
            self._backlog_ticks_left = max(0, self._backlog_ticks_left - 1)
            self.is_silent = not self._backlog_ticks_left
        else:
            self._backlog_ticks_left = BACKLOG_PAUSE_TICKS if self._newest_reading < at - BACKLOG_SECONDS else 0
            self._newest_reading, self.is_silent = None, False
