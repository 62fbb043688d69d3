"""Where the reporter is in time: from ticks, and from the readings' own minutes where a clock may be wrong."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from services.reporter.blocks import block_of
from services.reporter.text import place, time_of
from shared.domain.event_clock import EventClock
from shared.domain.series import DAY, HOUR, MINUTE

TEN_MINUTES = 10 * MINUTE
AHEAD = HOUR
"""A line so far ahead of now, by a meter's wrong clock, gives way to the next one, whatever its time."""
TURNED_BACK = 10
"""Ticks after which blocks of a day to come are taken for those of a clock that has been set right since."""


class Now:
    """The newest minute that has closed, and what follows from it; places and blocks are texts that sort."""

    def __init__(self, zone: ZoneInfo, kept: int) -> None:
        """`kept`: seconds that blocks stay in the outbox."""
        self._zone, self._kept = zone, kept
        self._present = EventClock()
        self._ahead = 0
        self.at = 0
        """Epoch seconds."""
        self.oldest = self.outdated = ""
        """The first block that still takes lines, and the first that stays in the outbox."""
        self.limit = "~"
        """What comes after this place is ahead of now."""

    def hear(self, at: int) -> None:
        """Takes the minute of a verdict."""
        self._present.on_reading(at)

    def close(self, tick: datetime) -> None:
        """Goes on by a tick."""
        self.at = self._present.resolve_tick(int(tick.timestamp()))
        self.oldest, self.outdated = self.block(-self._kept), self.block(min(0, self._own - self.at) - self._kept)
        self.limit = self.place(AHEAD)

    def turned_back(self, sent: str) -> bool:
        """Whether live readings have come back from a day that was sent before it came; asked after each tick."""
        far = self._present.is_live and sent > self.block(self._own - self.at + DAY)
        self._ahead = self._ahead + 1 if far else 0
        return self._ahead >= TURNED_BACK

    def restart(self) -> str:
        """The block of live readings: of its minutes some were not taken, so the next one is the first."""
        self._ahead = 0
        return self.block(self._own - self.at)

    def place(self, seconds: int) -> str:
        """The place of a minute so many seconds from now."""
        return self.place_of(self.at + seconds)

    def block(self, seconds: int) -> str:
        """The block of that minute."""
        return block_of(self.place(seconds))

    def is_next(self, block: str, before: str) -> bool:
        """Whether a block is the one after another."""
        return block == block_of(self.place_of(int(time_of(f"{before}0", self._zone).timestamp()) + TEN_MINUTES))

    def place_of(self, at: int) -> str:
        """The place of any minute, epoch seconds."""
        return place(at, self._zone)

    @property
    def _own(self) -> int:
        return self.at if self._present.event_minute is None else self._present.event_minute
