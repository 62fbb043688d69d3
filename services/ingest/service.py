"""Takes what a source has read: good minutes become Readings, the rest goes to rejected; says when a minute closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar, Protocol

from services.ingest.repeats import Repeats
from services.ingest.resend import Resend
from services.ingest.sources.lines import BadLine, Measurement
from shared.contract.messages import HistoryBatch, Message, Reading, Rejected, Stored, Tick
from shared.runtime.register import Register

FARTHEST = 1_000_000
"""Numbers beyond the spool's own that db_writer may have more of: a power cut took them."""


class Past(Protocol):
    """Minutes from before the first start."""

    def __iter__(self) -> Iterator[HistoryBatch]: ...

    def done(self) -> None:
        """They are safe; the next start need not send them."""
        ...


class Spool(Protocol):
    """What was accepted, on disk before it is published. `append` raises Unavailable."""

    boot_id: str
    next: int
    note: str

    def append(self, reading: Reading) -> None: ...
    def has(self, measurement: Measurement) -> bool: ...
    def flush(self) -> None: ...
    def stored(self, seq: int) -> None: ...
    def skip_to(self, seq: int) -> None: ...
    def between(self, first: int, last: int) -> Iterator[Reading]: ...


class Ingest:
    """Accepts measurements. `seq` counts the readings of its spool, whose name is `boot_id`."""

    name: ClassVar[str] = "ingest"
    consumes: ClassVar[tuple[type[Message], ...]] = (Stored,)
    produces: ClassVar[tuple[type[Message], ...]] = (Reading, HistoryBatch, Tick, Rejected)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        site: str,
        spool: Spool,
        source: str,
        register: Register,
        keep_bad_line: Callable[[BadLine], None],
        past: Past,
    ) -> None:
        self._site, self._spool, self._source = site, spool, source
        self._register, self._keep_bad_line, self._past = register, keep_bad_line, past
        self._repeats = Repeats()
        self._settled = spool.next - 1
        self._resend = Resend(spool)
        self._tick: Tick | None = None
        self._minute_over = False

    @property
    def ahead(self) -> int:
        """Readings sent that are not yet stored and judged."""
        return self._spool.next - 1 - self._settled

    @property
    def note(self) -> str:
        """What the operator must know."""
        return self._spool.note

    def start(self) -> Iterator[Message]:
        """Yields what a first start owes to the past."""
        yield from self._past

    def handle(self, message: Message | Measurement | BadLine) -> Iterator[Message]:
        if isinstance(message, Measurement):
            yield from self._accept(message)
        elif isinstance(message, BadLine):
            self._keep_bad_line(message)
            yield Rejected(self._site, f"{message.file}:{message.number}", message.reason, message.raw[:4000])
        elif isinstance(message, Tick) and (self._tick is None or message.at > self._tick.at):
            self._tick, self._minute_over = message, True
            self._repeats.minute_over()
            yield replace(message, boot_id=self._spool.boot_id, seq=self._spool.next - 1)
        elif isinstance(message, Stored) and message.boot_id == self._spool.boot_id:
            if message.seq > self._spool.next + FARTHEST:
                yield Rejected(self._site, "stored", f"the spool is at {self._spool.next}", f"{message}")
            else:
                self._hear(message)

    def settle(self) -> Iterator[Message]:
        """Called first when the past is safe with the broker."""
        self._past.done()
        self.keep()
        yield from self._resend.readings()

    def keep(self) -> None:
        """Flushes the spool once a minute. What is in it and was not said is sent when db_writer misses it."""
        if self._minute_over:
            self._minute_over = False
            self._spool.flush()
            self._resend.minute_over()

    def _hear(self, stored: Stored) -> None:
        self._spool.skip_to(stored.seq + 1)
        self._spool.stored(stored.seq)
        self._settled = min(stored.seq, stored.judged)
        self._resend.hear(stored)

    def _accept(self, measurement: Measurement) -> Iterator[Message]:
        """A Reading, or why there is none; nothing when the spool has it since before a restart."""
        sensor, flow_rate, pressure = measurement.sensor, measurement.flow_rate, measurement.pressure
        if reason := self._register.refusal(sensor) or self._repeats.refusal(sensor, measurement.at):
            yield Rejected(self._site, self._source, reason, str(measurement))
        elif not self._spool.has(measurement):
            spool = self._spool
            reading = Reading(
                self._site, sensor, measurement.at, flow_rate, pressure, spool.boot_id, spool.next, self._source
            )
            spool.append(reading)
            yield reading
