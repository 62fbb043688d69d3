"""Fills a restored database from the reporter's blocks, once all that ingest still has was sent again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from shared.contract.messages import Message, Progress, Tick, Verdict
from shared.runtime.log import log


class BackfillSource(Protocol):
    """What the reporter has written for the receivers on site."""

    @property
    def backfill_pending(self) -> bool:
        """Whether the database was restored and not yet filled."""
        ...

    def batches(self) -> Iterator[Sequence[Verdict]]:
        """Verdicts with their readings, a part at a time."""
        ...

    def mark_complete(self) -> None:
        """All are stored."""
        ...


class NullBackfillSource:
    """For a replay: nothing is restored into it."""

    backfill_pending = False

    def batches(self) -> Iterator[Sequence[Verdict]]:
        return iter(())

    def mark_complete(self) -> None:
        pass


class BackfillTarget(Protocol):
    """Where they go."""

    def insert_missing(self, verdicts: Sequence[Verdict]) -> int: ...


class Backfill:
    """A part at a time, so that the minute work goes on."""

    def __init__(self, site: str, source: BackfillSource, store: BackfillTarget) -> None:
        self._site, self._source, self._store = site, source, store
        self._batches: Iterator[Sequence[Verdict]] | None = None
        self._unsaved_batch: Sequence[Verdict] = ()
        self._count = 0
        self._completed: Progress | None = None
        self._tick: Tick | None = None
        self._ready = False

    def on_tick(self, tick: Tick) -> None:
        """From the first one on it is known how far ingest has come."""
        self._tick = tick

    def after_batch(self, gap: bool) -> Iterator[Message]:
        """Takes whether something that ingest has sent is not stored; yields what is to be told.

        To the others the end is that of an import: they look at stored history again.
        """
        self._ready = bool(self._tick and not gap and self._source.backfill_pending)
        completed, self._completed = self._completed, None
        if completed:
            yield completed

    def run_step(self) -> None:
        """Stores the next part. Raises Unavailable, and tries the same part again at the next call."""
        if not self._ready or not self._tick:
            return
        if self._batches is None:
            self._batches, self._count = self._source.batches(), 0
        batch: Sequence[Verdict] | None = self._unsaved_batch or next(self._batches, None)
        if batch is None:
            self._source.mark_complete()
            self._batches = None
            if self._count:
                text = f"{self._count} minutes were taken from the reporter's blocks"
                log("db_writer", text)
                self._completed = Progress(self._site, self._tick.at, "import", 1, 1, None, text)
            return
        self._unsaved_batch = batch
        self._count += self._store.insert_missing(batch)
        self._unsaved_batch = ()
