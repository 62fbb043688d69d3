"""Which readings of ingest's spool have come, and up to which one there is no gap."""

from __future__ import annotations

from shared.contract.messages import Message, Reading, Tick

HighWaterMark = tuple[str, int, int, int]
"""boot_id, seq and minute (epoch seconds) of the last reading up to which all are stored; newest seq known of."""
MAX_OUT_OF_ORDER = 100_000


class SequenceTracker:
    """Taking the same message again changes nothing, so a batch may be tried again."""

    def __init__(self) -> None:
        self._boot_id, self._seq, self._at = "", -1, 0
        self._newest_seq = -1
        self._out_of_order: dict[int, tuple[int, int]] = {}
        """Beyond a gap: number of the reading before, to number and minute."""

    @property
    def high_water_mark(self) -> HighWaterMark | None:
        """None before anything of a spool has come."""
        return (self._boot_id, self._seq, self._at, self._newest_seq) if self._boot_id else None

    @property
    def has_gap(self) -> bool:
        """Whether something is missing."""
        return self._newest_seq > self._seq

    def resume_from(self, mark: HighWaterMark) -> None:
        """Begins behind what is stored."""
        self._boot_id, self._seq, self._at, seen = mark
        self._newest_seq = max(seen, self._seq)
        self._out_of_order.clear()

    def observe(self, message: Message) -> None:
        """Takes readings and ticks in the order in which they come."""
        if isinstance(message, Reading):
            self._observe_reading(message)
        elif isinstance(message, Tick) and message.boot_id:
            if message.boot_id != self._boot_id:
                self.resume_from((message.boot_id, -1, int(message.at.timestamp()), -1))
            self._newest_seq = max(self._newest_seq, message.seq)

    def _observe_reading(self, reading: Reading) -> None:
        before = reading.seq - 1 if reading.after is None else reading.after
        at = int(reading.at.timestamp())
        if reading.boot_id != self._boot_id:
            if before >= 0:
                return
            self.resume_from((reading.boot_id, -1, at, -1))
        if reading.seq <= self._seq:
            return
        self._newest_seq = max(self._newest_seq, reading.seq)
        if before <= self._seq:
            self._seq, self._at = reading.seq, at
            while following := self._out_of_order.pop(self._seq, None):
                self._seq, self._at = following
            if not self.has_gap:
                self._out_of_order.clear()
        elif len(self._out_of_order) < MAX_OUT_OF_ORDER:
            self._out_of_order[before] = (reading.seq, at)
