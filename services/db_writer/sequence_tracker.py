"""Tracks the readings of ingest's spool, and the sequence number up to which there is no gap."""

from __future__ import annotations

from shared.contract.messages import Message, Reading, Tick
from shared.domain.high_water_mark import HighWaterMark

MAX_OUT_OF_ORDER = 100_000
"""Readings after a gap that are remembered."""


class SequenceTracker:
    """Observing the same message again changes nothing, so a batch can be repeated."""

    def __init__(self) -> None:
        self._boot_id, self._seq, self._at = "", -1, 0
        self._newest_seq = -1
        self._out_of_order: dict[int, tuple[int, int]] = {}
        """Readings after a gap: seq of the predecessor to seq and minute."""

    @property
    def high_water_mark(self) -> HighWaterMark | None:
        """The high-water mark; None before the first message of a spool."""
        if not self._boot_id:
            return None
        return HighWaterMark(self._boot_id, self._seq, self._at, self._newest_seq)

    @property
    def has_gap(self) -> bool:
        """Whether a reading is missing."""
        return self._newest_seq > self._seq

    def resume_from(self, mark: HighWaterMark) -> None:
        """Continue after the stored readings."""
        self._boot_id, self._seq, self._at = mark.boot_id, mark.seq, mark.at
        self._newest_seq = max(mark.newest_seq, mark.seq)
        self._out_of_order.clear()

    def observe(self, message: Message) -> None:
        """Observe readings and ticks in order of arrival."""
        if isinstance(message, Reading):
            self._observe_reading(message)
        elif isinstance(message, Tick) and message.boot_id:
            if message.boot_id != self._boot_id:
                self.resume_from(HighWaterMark(message.boot_id, -1, int(message.at.timestamp()), -1))
            self._newest_seq = max(self._newest_seq, message.seq)

    def _observe_reading(self, reading: Reading) -> None:
        previous = reading.seq - 1 if reading.after is None else reading.after
        at = int(reading.at.timestamp())
        if reading.boot_id != self._boot_id:
            if previous >= 0:
                return
            self.resume_from(HighWaterMark(reading.boot_id, -1, at, -1))
        if reading.seq <= self._seq:
            return
        self._newest_seq = max(self._newest_seq, reading.seq)
        if previous <= self._seq:
            self._seq, self._at = reading.seq, at
            while following := self._out_of_order.pop(self._seq, None):
                self._seq, self._at = following
            if not self.has_gap:
                self._out_of_order.clear()
        elif len(self._out_of_order) < MAX_OUT_OF_ORDER:
            self._out_of_order[previous] = (reading.seq, at)
