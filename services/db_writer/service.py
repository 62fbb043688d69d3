"""Stores everything that is said; the only service that writes SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from services.db_writer.maintenance import DatabaseMaintenance, RepairableStore
from services.db_writer.sequence_tracker import HighWaterMark, SequenceTracker
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
from shared.domain.series import DAY


class Store(RepairableStore, Protocol):
    """What db_writer needs of the recorder."""

    def write(self, messages: Sequence[Message], marks: Sequence[tuple[str, HighWaterMark]] = ()) -> None: ...

    def high_water_mark(self, site: str) -> HighWaterMark | None: ...

    def apply_retention(self, now: int, keep: int) -> int: ...


class DbWriter:
    """Collects a batch in `handle`, and stores it in one transaction in `settle`, before it is acknowledged."""

    name: ClassVar[str] = "db_writer"
    consumes: ClassVar[tuple[type[Message], ...]] = (
        Reading,
        HistoryBatch,
        Verdict,
        Anomaly,
        Criteria,
        Prediction,
        ModelTrained,
        Tick,
        Status,
    )
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
            self._last_verdict_seq = mark[1]
            yield self._stored(mark)

    def handle(self, message: Message) -> Iterator[Message]:
        self._sequence.observe(message)
        if isinstance(message, Tick | Status | Command):
            self._maintenance.on_message(message)
        else:
            self._batch.append(message)
        if isinstance(message, Tick):
            self._tick = message
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        """Stores the batch. Raises Unavailable, and keeps the batch, while the database can't be written."""
        self._maintenance.before_batch()
        self._apply_retention()
        mark = self._sequence.high_water_mark
        judged = [
            verdict.reading.seq for verdict in _verdicts(self._batch) if mark and verdict.reading.boot_id == mark[0]
        ]
        refused = list(self._write(mark))
        batch, self._batch = self._batch, []
        if mark and self._last_published and mark[0] != self._last_published[0]:
            self._last_verdict_seq = -1
        self._last_verdict_seq = max(judged, default=self._last_verdict_seq)
        yield from refused
        if mark and (judged or mark != self._last_published or self._sequence.has_gap):
            yield self._stored(mark)
        yield from (import_progress(message) for message in batch if isinstance(message, HistoryBatch))
        yield from self._maintenance.after_batch(self._sequence.has_gap)

    def _apply_retention(self) -> None:
        if self._tick and self._tick.at.minute == 0:
            self._store.apply_retention(int(self._tick.at.timestamp()), self._retention_seconds)
        self._tick = None

    def _write(self, mark: HighWaterMark | None) -> Iterator[Message]:
        """Writes the batch at once; when that fails for a message's sake, one by one, and rejects the culprit."""
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
                    yield Rejected(self._site, f"db_writer: {type(message).__name__}", repr(error)[:4000], raw)
            self._store.write([], marks)

    def _stored(self, mark: HighWaterMark) -> Stored:
        self._last_published = mark
        boot_id, seq, at, seen = mark
        return Stored(self._site, boot_id, seq, self._to_local(at), self._last_verdict_seq, len(self._batch), seen)


def _verdicts(messages: Sequence[Message]) -> Iterator[Verdict]:
    return (message for message in messages if isinstance(message, Verdict))


def import_progress(history: HistoryBatch) -> Progress:
    """How far an import is, now that this part is stored."""
    last = history.minutes[-1][0]
    text = f"{history.sensor}: stored up to {last:%Y-%m-%d %H:%M}"
    return Progress(history.site, last, "import", history.part, history.of, None, text)
