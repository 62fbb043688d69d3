"""Whether a sensor lives in the present or catches up with it."""

from __future__ import annotations

from shared.domain.series import MINUTE

BEHIND = 10 * MINUTE
"""Seconds behind the clock from which on readings are of a backlog."""
PATIENCE = 10
"""Ticks that a backlog may stand still before the sensor counts as silent."""


class Pace:
    """Of one sensor. What lives in the present is silent when a minute brings nothing; a backlog may only stand still,

    because what feeds it does, or what lies between.
    """

    def __init__(self) -> None:
        self._heard: int | None = None
        self._left = 0
        self.silent = False
        """Whether the last minute brought nothing, and nothing is on its way."""

    @property
    def catches_up(self) -> bool:
        """Whether the readings are of long ago, and more of them are on their way."""
        return self._left > 0

    def hear(self, at: int) -> None:
        """Takes the minute of a reading, epoch seconds."""
        self._heard = at

    def tick(self, at: int) -> None:
        """A minute has closed, epoch seconds."""
        if self._heard is None:
            self._left = max(0, self._left - 1)
            self.silent = not self._left
        else:
            self._left = PATIENCE if self._heard < at - BEHIND else 0
            self._heard, self.silent = None, False
