"""Which readings of ingest's spool have come, and up to which one there is no gap."""

from __future__ import annotations

from shared.contract.messages import Message, Reading, Tick

Mark = tuple[str, int, int, int]
"""boot_id, seq and minute (epoch seconds) of the last reading up to which all are stored; newest seq known of."""
MOST_AHEAD = 100_000


class Arrivals:
    """Taking the same message again changes nothing, so a batch may be tried again."""

    def __init__(self) -> None:
        self._boot_id, self._seq, self._at = "", -1, 0
        self._seen = -1
        self._ahead: dict[int, tuple[int, int]] = {}
        """Beyond a gap: number of the reading before, to number and minute."""

    @property
    def mark(self) -> Mark | None:
        """None before anything of a spool has come."""
        return (self._boot_id, self._seq, self._at, self._seen) if self._boot_id else None

    @property
    def gap(self) -> bool:
        """Whether something is missing."""
        return self._seen > self._seq

    def go_on(self, mark: Mark) -> None:
        """Begins behind what is stored."""
        self._boot_id, self._seq, self._at, seen = mark
        self._seen = max(seen, self._seq)
        self._ahead.clear()

    def see(self, message: Message) -> None:
        """Takes readings and ticks in the order in which they come."""
        if isinstance(message, Reading):
            self._arrive(message)
        elif isinstance(message, Tick) and message.boot_id:
            if message.boot_id != self._boot_id:
                self.go_on((message.boot_id, -1, int(message.at.timestamp()), -1))
            self._seen = max(self._seen, message.seq)

    def _arrive(self, reading: Reading) -> None:
        before = reading.seq - 1 if reading.after is None else reading.after
        at = int(reading.at.timestamp())
        if reading.boot_id != self._boot_id:
            if before >= 0:
                return
            self.go_on((reading.boot_id, -1, at, -1))
        if reading.seq <= self._seq:
            return
        self._seen = max(self._seen, reading.seq)
        if before <= self._seq:
            self._seq, self._at = reading.seq, at
            while following := self._ahead.pop(self._seq, None):
                self._seq, self._at = following
            if not self.gap:
                self._ahead.clear()
        elif len(self._ahead) < MOST_AHEAD:
            self._ahead[before] = (reading.seq, at)
