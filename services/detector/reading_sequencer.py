"""Sequencing of one sensor's readings: in order, late, duplicate, or of a doubted time."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from shared.contract.messages import Reading

SUSPICIOUS_LATE_READINGS = 3
"""Late readings in a row that raise the clock anomaly; whether the clock was set back says `Reading.clock`."""
SEEN_MINUTES_KEPT = 3 * 1440


class ReadingSequencer:
    """Classifies readings by their minute since the epoch; ingest has decided which times are believed.

    Only readings change the state, so a backlog gives the same result as live readings.
    """

    LATE_MINUTES: ClassVar = 10
    """Minutes late that count as a clock fault."""

    def __init__(self) -> None:
        self.newest_minute: int | None = None
        self.last_at: datetime | None = None
        self.jump_minutes = 0
        """Minutes that this reading is ahead, while its time is doubted; else 0."""
        self.setback_minutes = 0
        """Minutes that the clock went back before the present late readings."""
        self.is_duplicate = self.clock_suspect = self.clock_set_back = False
        self.is_late_data = False
        """Whether this reading is a belated one: it says nothing of the meter's clock."""
        self.jump_rejected = False
        """Whether the readings before this one were ahead and doubted, and it is in order again."""
        self.returned_jump_minutes = 0
        """Minutes of a confirmed jump that the present late readings have returned from; else 0."""
        self._confirmed_jump: tuple[int, int] | None = None
        """Minutes before and after the newest confirmed jump."""
        self._max_minute = -1
        self._seen_minutes: set[int] = set()
        self._doubted_from: int | None = None
        """First minute of the doubted readings before this one."""
        self._late_count = 0
        self._last_source_seq = ("", -1)

    @property
    def is_behind_maximum(self) -> bool:
        """Whether the clock was set back and has not yet reached its former maximum."""
        return self.newest_minute is not None and self.newest_minute < self._max_minute

    def classify(self, reading: Reading, minute: int) -> int:
        """Return the minutes since the newest accepted reading; below 1 the reading is not in order."""
        newest = self.newest_minute
        step = 1 if newest is None else minute - newest
        self.is_duplicate = minute in self._seen_minutes
        self.is_late_data = reading.belated and not self.is_duplicate and step < 0
        if reading.clock == "doubted" and step > 0:
            return self._on_doubted(minute, 0 if newest is None else step)
        if step > 0 and not self.is_duplicate:
            self._end_doubt(minute, step)
            return self._accept(reading, minute, step)
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

    def _on_doubted(self, minute: int, step: int) -> int:
        """Note the size of the jump; the minute is not seen, since its true reading may come later."""
        self.is_duplicate = self.clock_suspect = self.clock_set_back = False
        self._doubted_from = self._doubted_from or minute
        self.jump_minutes = step
        return 0

    def _end_doubt(self, minute: int, step: int) -> None:
        """Note whether the doubted readings before this one were right: it goes on from them, or returns."""
        doubted_from, self._doubted_from = self._doubted_from, None
        if doubted_from is not None and minute < doubted_from:
            self.jump_rejected = True
        elif doubted_from is not None:
            self._confirmed_jump = None if self.is_behind_maximum else (minute - step, doubted_from)

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
        self.clock_suspect = self._late_count >= SUSPICIOUS_LATE_READINGS
        self.clock_set_back = reading.clock == "set_back" and not self.is_duplicate
        self._mark_seen(minute)
        if self.clock_set_back:
            self._max_minute = max(self._max_minute, self.newest_minute or minute)
            self.newest_minute, self._late_count = minute, 0
        if not is_retransmission:
            self._last_source_seq = (reading.boot_id, reading.seq)
        return min(step, 0)
