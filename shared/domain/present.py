"""What time it is for those who hear readings and ticks, when the two may come from different clocks."""

from __future__ import annotations

from shared.domain.series import DAY, MINUTE

FAR = 25 * DAY
"""Farther than this from live readings, a tick's time comes from a wrong clock."""
AT_PACE = 10 * MINUTE
"""Readings that advance more between two ticks are those of a backlog, and say nothing of now."""


class Present:
    """Epoch seconds throughout.

    >>> present = Present()
    >>> for at in (60_000, 60_060):
    ...     present.hear(at)
    ...     _ = present.minute(at)
    >>> present.minute(60_120), present.minute(60_120 + 400 * DAY)
    (60120, 60180)
    """

    def __init__(self) -> None:
        self.own: int | None = None
        """The minute just closed as readings and the number of ticks since have it; None before the first."""
        self.live = False
        """Whether readings go at the pace of ticks."""
        self._heard: int | None = None
        self._before: int | None = None

    def hear(self, at: int) -> None:
        """Takes the time of a reading; of those between two ticks the newest counts."""
        self._heard = at if self._heard is None else max(at, self._heard)

    def minute(self, tick: int) -> int:
        """The minute that a tick closes: the tick's own, unless live readings are far from it."""
        if self._heard is not None:
            self.live = self._before is not None and abs(self._heard - self._before) <= AT_PACE
            self.own = self._before = self._heard
            self._heard = None
        elif self.own is not None:
            self.own += MINUTE
        return self.own if self.own is not None and self.live and abs(tick - self.own) > FAR else tick
