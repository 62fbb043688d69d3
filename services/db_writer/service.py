"""Stores the messages of all services; the only service that writes SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from services.db_writer.maintenance import DatabaseMaintenance, RepairableStore
from services.db_writer.sequence_tracker import SequenceTracker
from shared.contract.messages import (
    Anomaly,
    Command,
    Criteria,
    HistoryBatch,
    Message,
    ModelTrained,
    Prediction,
    Progress,
    Reading,
    Rejected,
    Response,
    Status,
    Stored,
    Tick,
    Verdict,
)
from shared.contract.service import Unavailable
from shared.contract.texts import localized, technical
from shared.domain.high_water_mark import HighWaterMark, SiteMark
from shared.domain.series import DAY


class Store(RepairableStore, Protocol):
    """What db_writer needs of the recorder."""

    def write(self, messages: Sequence[Message], marks: Sequence[SiteMark] = ()) -> None: ...

    def high_water_mark(self, site: str) -> HighWaterMark | None: ...

    def apply_retention(self, now: int, keep: int) -> int: ...


class DbWriter:
    """Collects a batch in `handle`, and stores it in one transaction in `end_batch`, before it is acknowledged."""

    name: ClassVar[str] = "db_writer"
    produces: ClassVar[tuple[type[Message], ...]] = (Stored, Progress, Rejected, Response)
    commands: ClassVar[tuple[str, ...]] = ("backup",)

    def __init__(
        self,
        store: Store,
        site: str,
        retention_days: int,
        to_local: Callable[[int], datetime],
        maintenance: DatabaseMaintenance | None = None,
    ) -> None:
        self._maintenance = maintenance or DatabaseMaintenance(site, store)
        self._store, self._site, self._retention_seconds, self._to_local = store, site, retention_days * DAY, to_local
        self._batch: list[Message] = []
        self._sequence = SequenceTracker()
        self._last_published: HighWaterMark | None = None
        self._last_verdict_seq = -1
        self._tick: Tick | None = None

    def start(self) -> Iterator[Message]:
        mark = self._store.high_water_mark(self._site)
        if mark:
            self._sequence.resume_from(mark)
            self._last_verdict_seq = mark.seq
            yield self._stored(mark)

    def handle(self, message: Message) -> Iterator[Message]:
        self._sequence.observe(message)
        self.HANDLERS[type(message)](self, message)
        return iter(())

    def _store_later(self, message: Message) -> None:
        self._batch.append(message)

    def _on_tick(self, tick: Tick) -> None:
        self._maintenance.on_message(tick)
        self._tick = tick

    def _on_status(self, status: Status) -> None:
        self._maintenance.on_message(status)

    def _on_command(self, command: Command) -> None:
        self._maintenance.on_message(command)

    def end_batch(self) -> Iterator[Message]:
        """Store the batch. Raises Unavailable and keeps the batch while the database cannot be written."""
        self._maintenance.before_batch()
        self._apply_retention()
        mark = self._sequence.high_water_mark
        verdict_seqs = [reading.seq for reading in _judged(self._batch) if mark and reading.boot_id == mark.boot_id]
        rejected = list(self._write(mark))
        batch, self._batch = self._batch, []
        if mark and self._last_published and mark.boot_id != self._last_published.boot_id:
            self._last_verdict_seq = -1
        self._last_verdict_seq = max(verdict_seqs, default=self._last_verdict_seq)
        yield from rejected
        if mark and (verdict_seqs or mark != self._last_published or self._sequence.has_gap):
            yield self._stored(mark)
        yield from (import_progress(message) for message in batch if isinstance(message, HistoryBatch))
        yield from self._maintenance.after_batch(self._sequence.has_gap)

    def _apply_retention(self) -> None:
        if self._tick and self._tick.at.minute == 0:
            self._store.apply_retention(int(self._tick.at.timestamp()), self._retention_seconds)
        self._tick = None

    def _write(self, mark: HighWaterMark | None) -> Iterator[Message]:
        """Write the batch at once. If a message fails, write one by one and yield a Rejected for each that fails."""
        marks = [(self._site, mark)] if mark else []
        if not self._batch:
            return
        try:
            self._store.write(self._batch, marks)
            return
        except Unavailable:
            raise
        except Exception:
            for message in self._batch:
                try:
                    self._store.write([message])
                except Unavailable:
                    raise
                except Exception as error:
                    raw = str(message)[:4000]
                    source = f"db_writer: {type(message).__name__}"
                    yield Rejected(self._site, source, technical(repr(error)), raw)
            self._store.write([], marks)

    def _stored(self, mark: HighWaterMark) -> Stored:
        self._last_published = mark
        at = self._to_local(mark.at)
        return Stored(
            site=self._site,
            boot_id=mark.boot_id,
            seq=mark.seq,
            at=at,
            judged=self._last_verdict_seq,
            waiting=len(self._batch),
            seen=mark.newest_seq,
        )

    HANDLERS: ClassVar[dict[type[Message], Callable[..., None]]] = {
        Reading: _store_later,
        HistoryBatch: _store_later,
        Verdict: _store_later,
        Anomaly: _store_later,
        Criteria: _store_later,
        Prediction: _store_later,
        ModelTrained: _store_later,
        Tick: _on_tick,
        Status: _on_status,
        Command: _on_command,
    }
    consumes: ClassVar[tuple[type[Message], ...]] = tuple(kind for kind in HANDLERS if kind is not Command)


def _judged(messages: Sequence[Message]) -> Iterator[Reading]:
    """Yield the readings with a verdict, and those that get none: they complete a judged minute."""
    for message in messages:
        if isinstance(message, Verdict):
            yield message.reading
        elif isinstance(message, Reading) and message.completes:
            yield message


def import_progress(history: HistoryBatch) -> Progress:
    """Return the progress of an import after this batch is stored."""
    last = history.minutes[-1][0]
    text = localized(
        "{sensor}: {last:%Y-%m-%d %H:%M}까지 저장했습니다",
        "{sensor}: stored up to {last:%Y-%m-%d %H:%M}",
        sensor=history.sensor,
        last=last,
    )
    return Progress(site=history.site, at=last, job="import", step=history.part, of=history.of, eta=None, text=text)
