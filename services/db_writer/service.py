"""Stores everything that is said; the only service that writes SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from services.db_writer.arrivals import Arrivals, Mark
from services.db_writer.care import Care, Kept
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
from shared.domain.series import DAY
from shared.runtime.service import Unavailable


class Store(Kept, Protocol):
    """What db_writer needs of the recorder."""

    def write(self, messages: Sequence[Message], marks: Sequence[tuple[str, Mark]] = ()) -> None: ...

    def mark(self, site: str) -> Mark | None: ...

    def forget_minutes(self, now: int, keep: int) -> int: ...


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
        local: Callable[[int], datetime],
        care: Care | None = None,
    ) -> None:
        self._care = care or Care(site, store)
        self._store, self._site, self._keep, self._local = store, site, retention_days * DAY, local
        self._batch: list[Message] = []
        self._arrivals = Arrivals()
        self._said: Mark | None = None
        self._judged = -1
        self._tick: Tick | None = None

    def start(self) -> Iterator[Message]:
        mark = self._store.mark(self._site)
        if mark:
            self._arrivals.go_on(mark)
            self._judged = mark[1]
            yield self._stored(mark)

    def handle(self, message: Message) -> Iterator[Message]:
        self._arrivals.see(message)
        if isinstance(message, Tick | Status | Command):
            self._care.hear(message)
        else:
            self._batch.append(message)
        if isinstance(message, Tick):
            self._tick = message
        return iter(())

    def settle(self) -> Iterator[Message]:
        """Stores the batch. Raises Unavailable, and keeps the batch, while the database can't be written."""
        self._care.before()
        self._forget_old_minutes()
        mark = self._arrivals.mark
        judged = [
            verdict.reading.seq for verdict in _verdicts(self._batch) if mark and verdict.reading.boot_id == mark[0]
        ]
        refused = list(self._write(mark))
        batch, self._batch = self._batch, []
        if mark and self._said and mark[0] != self._said[0]:
            self._judged = -1
        self._judged = max(judged, default=self._judged)
        yield from refused
        if mark and (judged or mark != self._said or self._arrivals.gap):
            yield self._stored(mark)
        yield from (progress(message) for message in batch if isinstance(message, HistoryBatch))
        yield from self._care.after(self._arrivals.gap)

    def _forget_old_minutes(self) -> None:
        if self._tick and self._tick.at.minute == 0:
            self._store.forget_minutes(int(self._tick.at.timestamp()), self._keep)
        self._tick = None

    def _write(self, mark: Mark | None) -> Iterator[Message]:
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

    def _stored(self, mark: Mark) -> Stored:
        self._said = mark
        boot_id, seq, at, seen = mark
        return Stored(self._site, boot_id, seq, self._local(at), self._judged, len(self._batch), seen)


def _verdicts(messages: Sequence[Message]) -> Iterator[Verdict]:
    return (message for message in messages if isinstance(message, Verdict))


def progress(history: HistoryBatch) -> Progress:
    """How far an import is, now that this part is stored."""
    last = history.minutes[-1][0]
    text = f"{history.sensor}: stored up to {last:%Y-%m-%d %H:%M}"
    return Progress(history.site, last, "import", history.part, history.of, None, text)
