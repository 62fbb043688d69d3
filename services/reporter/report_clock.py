"""The reporter's event time: from ticks, or from the readings' own minutes where a clock may be wrong."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from services.reporter.blocks import block_of
from services.reporter.line_format import key_to_time, minute_key
from shared.domain.event_clock import EventClock
from shared.domain.series import DAY, MINUTE

BLOCK_SECONDS = 10 * MINUTE
SETBACK_TICKS = 10
"""Ticks after which blocks of a future day count as those of a clock that has been corrected."""


class ReportClock:
    """The newest closed minute and the keys derived from it; minute keys and block keys sort as text."""

    def __init__(self, zone: ZoneInfo, outbox_seconds: int) -> None:
        """`outbox_seconds`: how long blocks stay in the outbox."""
        self._zone, self._outbox_seconds = zone, outbox_seconds
        self._event_clock = EventClock()
        self._setback_ticks = 0
        self.at = 0
        """Newest closed minute, epoch seconds."""
        self.oldest_open_block = self.prune_before = ""
        """The first block that accepts lines, and the first block that stays in the outbox."""

    def on_verdict(self, at: int) -> None:
        """Record the minute of a verdict, epoch seconds."""
        self._event_clock.on_reading(at)

    def on_tick(self, tick: datetime) -> None:
        """Advance to the minute of a tick."""
        self.at = self._event_clock.resolve_tick(int(tick.timestamp()))
        self.oldest_open_block, self.prune_before = (
            self.block_key(-self._outbox_seconds),
            self.block_key(min(0, self._live_time - self.at) - self._outbox_seconds),
        )

    def is_set_back(self, sent: str) -> bool:
        """Whether live readings returned from a future day whose blocks were closed; call once after each tick."""
        is_set_back = self._event_clock.is_live and sent > self.block_key(self._live_time - self.at + DAY)
        self._setback_ticks = self._setback_ticks + 1 if is_set_back else 0
        return self._setback_ticks >= SETBACK_TICKS

    def resume_block(self) -> str:
        """Return the block of live readings.

        Some of its minutes were dropped, so the next block is the first complete one.
        """
        self._setback_ticks = 0
        return self.block_key(self._live_time - self.at)

    def minute_key(self, seconds: int) -> str:
        """Return the key of the minute that is this many seconds after now."""
        return self.minute_key_at(self.at + seconds)

    def block_key(self, seconds: int) -> str:
        """Return the block of that minute."""
        return block_of(self.minute_key(seconds))

    def is_next_block(self, block: str, before: str) -> bool:
        """Whether a block directly follows another."""
        return block == block_of(
            self.minute_key_at(int(key_to_time(f"{before}0", self._zone).timestamp()) + BLOCK_SECONDS)
        )

    def minute_key_at(self, at: int) -> str:
        """Return the key of a minute, epoch seconds."""
        return minute_key(at, self._zone)

    @property
    def _live_time(self) -> int:
        return self.at if self._event_clock.event_minute is None else self._event_clock.event_minute
