"""Which readings of ingest's spool have come, and up to which one there is no gap."""

from __future__ import annotations

from shared.contract.messages import Message, Reading, Tick

Mark = tuple[str, int, int]
"""boot_id, seq and minute (epoch seconds) of the last reading up to which all are stored."""
MOST_AHEAD = 100_000


class Arrivals:
    """Taking the same message again changes nothing, so a batch may be tried again."""

    def __init__(self) -> None:
        self.mark: Mark | None = None
        self.seen = -1
        """Newest number that ingest is known to have sent."""
        self._ahead: dict[int, tuple[int, int]] = {}
        """Beyond a gap: number of the reading before, to number and minute."""

    @property
    def gap(self) -> bool:
        """Whether something is missing."""
        return self.mark is not None and self.seen > self.mark[1]

    def go_on(self, mark: Mark) -> None:
        """Begins behind what is stored."""
        self.mark, self.seen = mark, mark[1]
        self._ahead.clear()

    def see(self, message: Message) -> None:
        """Takes readings and ticks in the order in which they come."""
        if isinstance(message, Reading):
            self._arrive(message)
        elif isinstance(message, Tick) and message.boot_id:
            if self.mark is None or message.boot_id != self.mark[0]:
                self.go_on((message.boot_id, -1, int(message.at.timestamp())))
            self.seen = max(self.seen, message.seq)

    def _arrive(self, reading: Reading) -> None:
        before = reading.seq - 1 if reading.after is None else reading.after
        at = int(reading.at.timestamp())
        if self.mark is None or reading.boot_id != self.mark[0]:
            if before >= 0:
                return
            self.go_on((reading.boot_id, -1, at))
        assert self.mark is not None
        if reading.seq <= self.mark[1]:
            return
        self.seen = max(self.seen, reading.seq)
        if before <= self.mark[1]:
            self.mark = (reading.boot_id, reading.seq, at)
            while following := self._ahead.pop(self.mark[1], None):
                self.mark = (reading.boot_id, *following)
            if not self.gap:
                self._ahead.clear()
        elif len(self._ahead) < MOST_AHEAD:
            self._ahead[before] = (reading.seq, at)
