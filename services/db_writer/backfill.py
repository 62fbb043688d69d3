"""Backfills a restored database from the reporter's blocks, after ingest has retransmitted its spool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from shared.contract.messages import Message, Progress, Tick, Verdict
from shared.contract.texts import localized
from shared.runtime.log import log


class BackfillSource(Protocol):
    """Blocks that the reporter has written."""

    @property
    def backfill_pending(self) -> bool:
        """Whether the database was restored and not yet backfilled."""
        ...

    def batches(self) -> Iterator[Sequence[Verdict]]:
        """Yield verdicts with their readings in batches."""
        ...

    def mark_complete(self) -> None:
        """Record that all batches are stored."""
        ...


class NullBackfillSource:
    """Null object for a replay: its database is never restored."""

    backfill_pending = False

    def batches(self) -> Iterator[Sequence[Verdict]]:
        return iter(())

    def mark_complete(self) -> None:
        pass


class BackfillTarget(Protocol):
    """Where the verdicts are stored."""

    def insert_missing(self, verdicts: Sequence[Verdict]) -> int: ...


class Backfill:
    """Stores one batch at a time, so that other work continues."""

    def __init__(self, site: str, source: BackfillSource, store: BackfillTarget) -> None:
        self._site, self._source, self._store = site, source, store
        self._batches: Iterator[Sequence[Verdict]] | None = None
        self._unsaved_batch: Sequence[Verdict] = ()
        self._count = 0
        self._completed: Progress | None = None
        self._tick: Tick | None = None
        self._ready = False

    def on_tick(self, tick: Tick) -> None:
        """Record a tick; from the first one on, the newest seq of ingest is known."""
        self._tick = tick

    def after_batch(self, gap: bool) -> Iterator[Message]:
        """Record whether published readings are missing in the database; yield a Progress at the end.

        It has the form of a completed import, so that other services read stored history again.
        """
        self._ready = bool(self._tick and not gap and self._source.backfill_pending)
        completed, self._completed = self._completed, None
        if completed:
            yield completed

    def run_step(self) -> None:
        """Store the next batch. Raises Unavailable; the next call then stores the same batch."""
        if not self._ready or not self._tick:
            return
        if self._batches is None:
            self._batches, self._count = self._source.batches(), 0
        batch: Sequence[Verdict] | None = self._unsaved_batch or next(self._batches, None)
        if batch is None:
            self._source.mark_complete()
            self._batches = None
            if self._count:
                text = localized(
                    "보관된 블록에서 {count}분의 계측값을 채웠습니다",
                    "{count} minutes were backfilled from the reporter's blocks",
                    count=self._count,
                )
                log("db_writer", "backfill_completed", minutes=self._count)
                self._completed = Progress(
                    site=self._site, at=self._tick.at, job="import", step=1, of=1, eta=None, text=text
                )
            return
        self._unsaved_batch = batch
        self._count += self._store.insert_missing(batch)
        self._unsaved_batch = ()
