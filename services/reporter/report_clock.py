"""Where the reporter is in time: from ticks, and from the readings' own minutes where a clock may be wrong."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from services.reporter.blocks import block_of
from services.reporter.line_format import key_to_time, minute_key
from shared.domain.event_clock import EventClock
from shared.domain.series import DAY, HOUR, MINUTE

BLOCK_SECONDS = 10 * MINUTE
MAX_AHEAD_SECONDS = HOUR
"""A line so far ahead of now, by a meter's wrong clock, gives way to the next one, whatever its time."""
SETBACK_TICKS = 10
"""Ticks after which blocks of a day to come are taken for those of a clock that has been set right since."""


class ReportClock:
    """The newest minute that has closed, and what follows from it; places and blocks are texts that sort."""

    def __init__(self, zone: ZoneInfo, outbox_seconds: int) -> None:
        """`kept`: seconds that blocks stay in the outbox."""
        self._zone, self._outbox_seconds = zone, outbox_seconds
        self._event_clock = EventClock()
        self._setback_ticks = 0
        self.at = 0
        """Epoch seconds."""
        self.oldest_open_block = self.prune_before = ""
        """The first block that still takes lines, and the first that stays in the outbox."""
        self.latest_plausible = "~"
        """What comes after this place is ahead of now."""

    def on_verdict(self, at: int) -> None:
        """Takes the minute of a verdict."""
        self._event_clock.on_reading(at)

    def on_tick(self, tick: datetime) -> None:
        """Goes on by a tick."""
        self.at = self._event_clock.resolve_tick(int(tick.timestamp()))
        self.oldest_open_block, self.prune_before = (
            self.block_key(-self._outbox_seconds),
            self.block_key(min(0, self._live_time - self.at) - self._outbox_seconds),
        )
        self.latest_plausible = self.minute_key(MAX_AHEAD_SECONDS)

    def is_set_back(self, sent: str) -> bool:
        """Whether live readings have come back from a day that was sent before it came; asked after each tick."""
        far = self._event_clock.is_live and sent > self.block_key(self._live_time - self.at + DAY)
        self._setback_ticks = self._setback_ticks + 1 if far else 0
        return self._setback_ticks >= SETBACK_TICKS

    def resume_block(self) -> str:
        """The block of live readings: of its minutes some were not taken, so the next one is the first."""
        self._setback_ticks = 0
        return self.block_key(self._live_time - self.at)

    def minute_key(self, seconds: int) -> str:
        """The place of a minute so many seconds from now."""
        return self.minute_key_at(self.at + seconds)

    def block_key(self, seconds: int) -> str:
        """The block of that minute."""
        return block_of(self.minute_key(seconds))

    def is_next_block(self, block: str, before: str) -> bool:
        """Whether a block is the one after another."""
        return block == block_of(
            self.minute_key_at(int(key_to_time(f"{before}0", self._zone).timestamp()) + BLOCK_SECONDS)
        )

    def minute_key_at(self, at: int) -> str:
        """The place of any minute, epoch seconds."""
        return minute_key(at, self._zone)

    @property
    def _live_time(self) -> int:
        return self.at if self._event_clock.event_minute is None else self._event_clock.event_minute
