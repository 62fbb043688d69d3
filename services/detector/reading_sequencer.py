"""Sequencing of one sensor's readings: in order, late, duplicate, or after a jump of the meter's clock."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from shared.contract.messages import Reading

JUMP_MINUTES = 60
"""Minutes ahead from which on a reading must be confirmed by those after it."""
JUMP_CONFIRMATIONS = 5
"""Readings in a row that confirm a jump ahead: the site was offline and is back."""
SETBACK_CONFIRMATIONS = 60
"""Late readings in a row that confirm that the clock was set back."""
SEEN_MINUTES_KEPT = 3 * 1440


class ReadingSequencer:
    """Classifies readings by their minute since the epoch.

    Only readings change the state, so a backlog gives the same result as live readings.
    """

    LATE_MINUTES: ClassVar = 10
    """Minutes late, or ahead and unconfirmed, that count as a clock fault."""

    def __init__(self) -> None:
        self.newest_minute: int | None = None
        self.last_at: datetime | None = None
        self.jump_minutes = 0
        """Minutes that this reading is ahead, while the jump is unconfirmed; else 0."""
        self.setback_minutes = 0
        """Minutes that the clock went back before the present late readings."""
        self.is_duplicate = self.clock_suspect = self.clock_set_back = False
        self.is_late_data = False
        """Whether this reading is a belated one: it says nothing of the meter's clock."""
        self.jump_rejected = False
        """Whether the unconfirmed jump before this reading was rejected: the reading is in order again."""
        self.returned_jump_minutes = 0
        """Minutes of a confirmed jump that the present late readings have returned from; else 0."""
        self._confirmed_jump: tuple[int, int] | None = None
        """Minutes before and after the newest confirmed jump."""
        self._max_minute = -1
        self._seen_minutes: set[int] = set()
        self._jump_candidate: tuple[int, int] | None = None
        self._late_count = 0
        self._last_source_seq = ("", -1)

    @property
    def is_behind_maximum(self) -> bool:
        """Whether the clock was set back and has not yet reached its former maximum."""
        return self.newest_minute is not None and self.newest_minute < self._max_minute

    def classify(self, reading: Reading, minute: int) -> int:
        """Return the minutes since the newest accepted reading; below 1 the reading is not in order."""
        newest = self.newest_minute
        if newest is None:
            return self._accept(reading, minute, 1)
        step = minute - newest
        if 0 < step <= JUMP_MINUTES and minute not in self._seen_minutes:
            if self._jump_candidate is not None:
                self._jump_candidate, self.jump_rejected = None, True
            return self._accept(reading, minute, step)
        self.is_duplicate = minute in self._seen_minutes
        self.is_late_data = reading.belated and not self.is_duplicate and step < 0
        if step > JUMP_MINUTES:
            return self._on_jump_ahead(reading, minute, step)
        return self._on_late(reading, minute, step)

    def seed(self, minutes: list[int]) -> None:
        """Set the state from the minutes of stored readings, oldest first."""
        if minutes:
            self.newest_minute = minutes[-1]
            self._seen_minutes.update(minutes[-SEEN_MINUTES_KEPT:])

    def _accept(self, reading: Reading, minute: int, step: int) -> int:
        self.newest_minute, self.last_at = minute, reading.at
        self._last_source_seq = (reading.boot_id, reading.seq)
        self._late_count = 0
        self._mark_seen(minute)
        return step

    def _mark_seen(self, minute: int) -> None:
        """Store a minute as seen; drop the minutes farthest from the newest one when there are too many."""
        self._seen_minutes.add(minute)
        if len(self._seen_minutes) > 2 * SEEN_MINUTES_KEPT:
            newest = self.newest_minute or minute
            self._seen_minutes = set(
                sorted(self._seen_minutes, key=lambda seen: abs(seen - newest))[:SEEN_MINUTES_KEPT]
            )

    def _on_jump_ahead(self, reading: Reading, minute: int, step: int) -> int:
        candidate, count = self._jump_candidate or (minute - 1, 0)
        count = count + 1 if 0 < minute - candidate <= JUMP_MINUTES else 1
        self.clock_suspect = self.clock_set_back = False
        if self.is_duplicate:
            return 0
        if count > JUMP_CONFIRMATIONS:
            self._jump_candidate = None
            self._confirmed_jump = None if self.is_behind_maximum else (minute - step, minute - JUMP_CONFIRMATIONS)
            return self._accept(reading, minute, step)
        self._jump_candidate = (minute, count)
        self.jump_minutes = step
        self._mark_seen(minute)
        return 0

    def _on_late(self, reading: Reading, minute: int, step: int) -> int:
        is_retransmission = self.is_duplicate and (
            reading.boot_id != self._last_source_seq[0] or reading.seq <= self._last_source_seq[1]
        )
        self.jump_minutes = 0
        if self.is_late_data:
            self.clock_suspect = self.clock_set_back = False
            self._mark_seen(minute)
            return step
        self._late_count = self._late_count + 1 if step <= -self.LATE_MINUTES and not is_retransmission else 0
        if self._late_count == 1:
            self.setback_minutes = 1 - step
            jump_start, jump_end = self._confirmed_jump or (minute, minute)
            self.returned_jump_minutes = jump_end - jump_start if jump_start < minute < jump_end else 0
        self.clock_suspect = self._late_count >= 3
        self.clock_set_back = self._late_count >= SETBACK_CONFIRMATIONS and not self.is_duplicate
        self._mark_seen(minute)
        if self.clock_set_back:
            self._max_minute = max(self._max_minute, self.newest_minute or minute)
            self.newest_minute, self._late_count = minute, 0
        if not is_retransmission:
            self._last_source_seq = (reading.boot_id, reading.seq)
        return min(step, 0)
