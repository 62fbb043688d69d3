"""Fills a restored database from the reporter's blocks, once all that ingest still has was sent again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from shared.contract.messages import Message, Progress, Tick, Verdict
from shared.runtime.log import log


class Blocks(Protocol):
    """What the reporter has written for the receivers on site."""

    @property
    def owed(self) -> bool:
        """Whether the database was restored and not yet filled."""
        ...

    def days(self) -> Iterator[Sequence[Verdict]]:
        """Verdicts with their readings, a part at a time."""
        ...

    def done(self) -> None:
        """All are stored."""
        ...


class NoBlocks:
    """For a replay: nothing is restored into it."""

    owed = False

    def days(self) -> Iterator[Sequence[Verdict]]:
        return iter(())

    def done(self) -> None:
        pass


class Filled(Protocol):
    """Where they go."""

    def fill(self, verdicts: Sequence[Verdict]) -> int: ...


class Refill:
    """A part at a time, so that the minute work goes on."""

    def __init__(self, site: str, blocks: Blocks, store: Filled) -> None:
        self._site, self._blocks, self._store = site, blocks, store
        self._parts: Iterator[Sequence[Verdict]] | None = None
        self._part: Sequence[Verdict] = ()
        self._count = 0
        self._news: Progress | None = None
        self._tick: Tick | None = None
        self._ready = False

    def minute(self, tick: Tick) -> None:
        """From the first one on it is known how far ingest has come."""
        self._tick = tick

    def settled(self, gap: bool) -> Iterator[Message]:
        """Takes whether something that ingest has sent is not stored; yields what is to be told.

        To the others the end is that of an import: they look at stored history again.
        """
        self._ready = bool(self._tick and not gap and self._blocks.owed)
        news, self._news = self._news, None
        if news:
            yield news

    def step(self) -> None:
        """Stores the next part. Raises Unavailable, and tries the same part again at the next call."""
        if not self._ready or not self._tick:
            return
        if self._parts is None:
            self._parts, self._count = self._blocks.days(), 0
        part: Sequence[Verdict] | None = self._part or next(self._parts, None)
        if part is None:
            self._blocks.done()
            self._parts = None
            if self._count:
                text = f"{self._count} minutes were taken from the reporter's blocks"
                log("db_writer", text)
                self._news = Progress(self._site, self._tick.at, "import", 1, 1, None, text)
            return
        self._part = part
        self._count += self._store.fill(part)
        self._part = ()
