"""Turns measurements into Readings, bad lines into Rejected messages, and adds the spool position to Ticks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar, Protocol

from services.ingest.duplicate_limiter import DuplicateLimiter
from services.ingest.known_minutes import KnownMinutes, StoredReadings
from services.ingest.minute_joiner import Joined, MinuteJoiner
from services.ingest.retransmission import Retransmitter
from services.ingest.sources.line_reader import BadLine, Measurement
from shared.contract.messages import Clock, HistoryAnswer, HistoryBatch, Message, Reading, Rejected, Stored, Tick
from shared.contract.status_codes import Problem
from shared.contract.texts import localized
from shared.domain.reading_clock import ReadingClock
from shared.domain.series import MINUTE
from shared.runtime.log import log
from shared.runtime.sensor_registry import SensorRegistry

MAX_SEQ_JUMP = 1_000_000
"""Sequence numbers by which db_writer may be ahead of the spool, after a power cut truncated the spool."""


class InitialHistory(Protocol):
    """Minutes from before the first start. `next_parts` raises Unavailable."""

    def next_parts(self) -> Iterator[HistoryBatch]: ...
    def on_answer(self, answer: HistoryAnswer) -> None: ...
    def on_minute(self) -> None: ...


class Spool(Protocol):
    """Accepted readings, on disk before they are published. `append` raises Unavailable."""

    boot_id: str
    next_seq: int
    problem: Problem | None

    def append(self, reading: Reading) -> None: ...
    def is_duplicate(self, measurement: Measurement) -> bool: ...
    def flush(self) -> None: ...
    def mark_stored(self, seq: int) -> None: ...
    def advance_to(self, seq: int) -> None: ...
    def read_range(self, first: int, last: int) -> Iterator[Reading]: ...


class Ingest:
    """Accepts measurements. `seq` numbers the readings of one spool, and `boot_id` identifies the spool."""

    name: ClassVar[str] = "ingest"
    produces: ClassVar[tuple[type[Message], ...]] = (Reading, HistoryBatch, Tick, Rejected)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        site: str,
        spool: Spool,
        source: str,
        registry: SensorRegistry,
        save_bad_line: Callable[[BadLine], None],
        initial_history: InitialHistory,
        reading_clock: ReadingClock | None = None,
        stored: StoredReadings | None = None,
    ) -> None:
        """Make the service; `stored` looks up readings from before the start."""
        self._site, self._spool, self._source = site, spool, source
        self._registry, self._save_bad_line, self._initial_history = registry, save_bad_line, initial_history
        self._duplicates, self._reading_clock = DuplicateLimiter(), reading_clock or ReadingClock()
        self._minutes = MinuteJoiner(KnownMinutes(stored))
        self._completed_seq = spool.next_seq - 1
        self._retransmitter = Retransmitter(spool)
        self._tick: Tick | None = None
        self._minute_closed = False
        self._doubted_sensors: set[str] = set()

    @property
    def in_flight(self) -> int:
        """Number of readings that are published but not yet stored with a verdict."""
        return self._spool.next_seq - 1 - self._completed_seq

    @property
    def is_holding(self) -> bool:
        """Whether the first half of a minute waits for the second: the source's position is not safe yet."""
        return self._minutes.is_holding

    def start(self) -> Iterator[Message]:
        """Yield the first parts of the initial history on a first start."""
        yield from self._initial_history.next_parts()

    def handle(self, message: Message | Measurement | BadLine) -> Iterator[Message]:
        return self.HANDLERS[type(message)](self, message)

    def _on_bad_line(self, line: BadLine) -> Iterator[Message]:
        self._save_bad_line(line)
        yield Rejected(self._site, f"{line.file}:{line.number}", line.reason, line.raw[:4000])

    def _on_tick(self, tick: Tick) -> Iterator[Message]:
        """Publish a tick of the source with the position of the spool."""
        if self._tick is None or tick.at > self._tick.at:
            for minute in self._minutes.on_tick(tick.at):
                yield from self._publish(minute)
            self._tick, self._minute_closed = tick, True
            self._duplicates.reset()
            self._reading_clock.on_tick(int(tick.at.timestamp()) // MINUTE)
            yield replace(tick, boot_id=self._spool.boot_id, seq=self._spool.next_seq - 1)

    def _on_stored(self, stored: Stored) -> Iterator[Message]:
        if stored.boot_id != self._spool.boot_id:
            return
        if stored.seq > self._spool.next_seq + MAX_SEQ_JUMP:
            reason = localized(
                "일련번호가 스풀({seq})보다 너무 앞서 있습니다",
                "seq is too far ahead of the spool, which is at {seq}",
                seq=self._spool.next_seq,
            )
            yield Rejected(self._site, "stored", reason, f"{stored}")
            return
        self._spool.advance_to(stored.seq + 1)
        self._spool.mark_stored(stored.seq)
        self._completed_seq = min(stored.seq, stored.judged)
        self._retransmitter.on_stored(stored)

    def _on_history_answer(self, answer: HistoryAnswer) -> Iterator[Message]:
        self._initial_history.on_answer(answer)
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        """Flush the spool; retransmit missing readings and send the next parts of the initial history."""
        self.flush_minute()
        yield from self._retransmitter.next_batch()
        yield from self._initial_history.next_parts()

    def flush_minute(self) -> None:
        """Flush the spool once a minute. db_writer requests what is in the spool but was not published."""
        if self._minute_closed:
            self._minute_closed = False
            self._spool.flush()
            self._retransmitter.on_minute()
            self._initial_history.on_minute()

    def _on_measurement(self, sample: Measurement) -> Iterator[Message]:
        """Yield the Readings that are complete with this sample, or a Rejected; nothing if the sample is known."""
        if reason := self._registry.rejection_reason(sample.sensor):
            yield Rejected(self._site, self._source, reason, str(sample))
            return
        for minute in self._minutes.add(sample):
            yield from self._publish(minute)

    def _publish(self, minute: Joined) -> Iterator[Message]:
        """Yield a Reading or a Rejected; nothing if the spool already has the minute from before a restart."""
        measurement, spool = minute.measurement, self._spool
        if minute.is_second and (reason := self._duplicates.rejection_reason(measurement.sensor)):
            yield Rejected(self._site, self._source, reason, str(measurement))
        elif not spool.is_duplicate(measurement):
            shows_no_clock = minute.is_second or minute.completes or minute.belated
            number = int(measurement.at.timestamp()) // MINUTE
            clock = self._reading_clock.decide(measurement.sensor, number, shows_no_clock)
            self._report_doubt(measurement, clock)
            reading = Reading(
                site=self._site,
                sensor=measurement.sensor,
                at=measurement.at,
                flow_rate=measurement.flow_rate,
                pressure=measurement.pressure,
                boot_id=spool.boot_id,
                seq=spool.next_seq,
                source=self._source,
                clock=clock,
                completes=minute.completes,
                belated=minute.belated,
            )
            spool.append(reading)
            yield reading

    def _report_doubt(self, measurement: Measurement, clock: Clock) -> None:
        """Log the first of the doubted readings of a sensor."""
        sensor = measurement.sensor
        if clock != "doubted":
            self._doubted_sensors.discard(sensor)
        elif sensor not in self._doubted_sensors:
            self._doubted_sensors.add(sensor)
            log(self.name, "reading_doubted", logging.WARNING, sensor=sensor, minute=measurement.at.isoformat())

    HANDLERS: ClassVar[dict[type, Callable[..., Iterator[Message]]]] = {
        Measurement: _on_measurement,
        BadLine: _on_bad_line,
        Tick: _on_tick,
        Stored: _on_stored,
        HistoryAnswer: _on_history_answer,
    }
    consumes: ClassVar[tuple[type[Message], ...]] = (Stored, HistoryAnswer)
    """From the broker; the other types come from the source."""
