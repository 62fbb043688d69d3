"""Stores the messages of all services; the only service that writes SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from services.db_writer.maintenance import DatabaseMaintenance, RepairableStore
from services.db_writer.sensor_commands import SensorCommands, SensorStore
from services.db_writer.sequence_tracker import SequenceTracker
from services.db_writer.storage_monitor import NullStorageProbe, StorageMonitor, StorageProbe
from shared.contract.messages import (
    Anomaly,
    Command,
    Criteria,
    ExpectedDay,
    HistoryAnswer,
    HistoryBatch,
    LocalizedText,
    Message,
    ModelTrained,
    NightResult,
    Notification,
    Prediction,
    Progress,
    Reading,
    Rejected,
    Response,
    SensorRetired,
    SensorState,
    Status,
    StorageState,
    Stored,
    Tick,
    Verdict,
)
from shared.contract.service import Unavailable
from shared.contract.texts import localized, technical
from shared.domain.high_water_mark import HighWaterMark, SiteMark
from shared.domain.series import DAY

Failure = tuple[Message, LocalizedText]
"""A message that can't be stored, and why."""
NO_REASON = technical("")


class Store(RepairableStore, SensorStore, Protocol):
    """What db_writer needs of the recorder."""

    def write(self, messages: Sequence[Message], marks: Sequence[SiteMark] = ()) -> None: ...

    def high_water_mark(self, site: str) -> HighWaterMark | None: ...

    def apply_retention(self, now: int, keep: int) -> int: ...


class DbWriter:
    """Collects a batch in `handle`, and stores it in one transaction in `end_batch`, before it is acknowledged."""

    name: ClassVar[str] = "db_writer"
    produces: ClassVar[tuple[type[Message], ...]] = (
        Stored,
        StorageState,
        HistoryAnswer,
        Progress,
        SensorRetired,
        Rejected,
        Response,
    )
    commands: ClassVar[tuple[str, ...]] = ("backup", "retire", "rename")

    def __init__(
        self,
        store: Store,
        site: str,
        retention_days: int,
        to_local: Callable[[int], datetime],
        maintenance: DatabaseMaintenance | None = None,
        storage_probe: StorageProbe | None = None,
    ) -> None:
        self._maintenance = maintenance or DatabaseMaintenance(site, store)
        self._store, self._site, self._retention_seconds, self._to_local = store, site, retention_days * DAY, to_local
        self._batch: list[Message] = []
        self._sequence = SequenceTracker()
        self._last_published: HighWaterMark | None = None
        self._last_verdict_seq = -1
        self._tick: Tick | None = None
        self._now: datetime | None = None
        """Time of the newest tick."""
        self._sensor_commands = SensorCommands(site, store)
        self._storage = StorageMonitor(site, storage_probe or NullStorageProbe(), retention_days)

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
        self._storage.on_tick(tick)
        self._tick, self._now = tick, tick.at

    def _on_status(self, status: Status) -> None:
        self._maintenance.on_message(status)

    def _on_command(self, command: Command) -> None:
        if command.name == "backup":
            self._maintenance.on_message(command)
        else:
            self._sensor_commands.on_command(command)

    def end_batch(self) -> Iterator[Message]:
        """Store the batch. Raises Unavailable and keeps the batch while the database cannot be written."""
        self._maintenance.before_batch()
        self._apply_retention()
        mark = self._sequence.high_water_mark
        verdict_seqs = [reading.seq for reading in _judged(self._batch) if mark and reading.boot_id == mark.boot_id]
        failures = self._write(mark)
        batch, self._batch = self._batch, []
        if mark and self._last_published and mark.boot_id != self._last_published.boot_id:
            self._last_verdict_seq = -1
        self._last_verdict_seq = max(verdict_seqs, default=self._last_verdict_seq)
        yield from (self._rejected(*failure) for failure in failures)
        if mark and (verdict_seqs or mark != self._last_published or self._sequence.has_gap):
            yield self._stored(mark)
        yield from _answers(batch, failures)
        yield from self._maintenance.after_batch(self._sequence.has_gap)
        yield from self._storage.poll()
        if self._now:  # a command waits for the first tick
            yield from self._sensor_commands.run(self._now)

    def _apply_retention(self) -> None:
        if self._tick and self._tick.at.minute == 0:
            self._store.apply_retention(int(self._tick.at.timestamp()), self._retention_seconds)
        self._tick = None

    def _write(self, mark: HighWaterMark | None) -> list[Failure]:
        """Write the batch at once. If a message fails, write one by one and return those that fail."""
        marks = [(self._site, mark)] if mark else []
        failures: list[Failure] = []
        if not self._batch:
            return failures
        try:
            self._store.write(self._batch, marks)
            return failures
        except Unavailable:
            raise
        except Exception:
            for message in self._batch:
                try:
                    self._store.write([message])
                except Unavailable:
                    raise
                except Exception as error:
                    failures.append((message, technical(repr(error))))
            self._store.write([], marks)
        return failures

    def _rejected(self, message: Message, reason: LocalizedText) -> Rejected:
        return Rejected(self._site, f"db_writer: {type(message).__name__}", reason, str(message)[:4000])

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
        SensorState: _store_later,
        ExpectedDay: _store_later,
        NightResult: _store_later,
        Notification: _store_later,
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


def _answers(batch: Sequence[Message], failures: Sequence[Failure]) -> Iterator[Message]:
    """Yield the answer to each part of a history, and the progress of those that are stored."""
    for message in batch:
        if isinstance(message, HistoryBatch):
            reason = next((reason for failed, reason in failures if failed is message), None)
            if message.transfer:
                yield HistoryAnswer(
                    site=message.site,
                    transfer=message.transfer,
                    part=message.part,
                    stored=reason is None,
                    reason=reason or NO_REASON,
                )
            if reason is None:
                yield import_progress(message)


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
