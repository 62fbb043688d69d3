"""Sends again, from the spool, what db_writer says has not arrived; never more than it can take."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from shared.contract.messages import Reading, Stored
from shared.runtime.log import log

WINDOW = 2000
"""Readings sent again beyond what is stored."""
PATIENCE = 2
"""Ticks without progress after which the same are sent once more."""


class Kept(Protocol):
    """Readings by number."""

    def between(self, first: int, last: int) -> Iterator[Reading]: ...


class Resend:
    """Follows `Stored`: what lies between its seq and its `seen` and has not arrived goes out again."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._stored = self._seen = -1
        self._sent = -1
        """Newest number that was sent again."""
        self._goal = -1
        """Numbers above it were not known to be missing when the last gap was found; they may well be on their way."""
        self._waited = 0

    def hear(self, stored: Stored) -> None:
        """Takes what db_writer says of this spool."""
        if stored.seq < self._stored:
            # An older database has taken the place of the one that had these.
            self._sent, self._goal = stored.seq, self._stored
        if stored.seq != self._stored:
            self._waited = 0
        self._stored, self._seen = stored.seq, max(stored.seen, stored.seq)
        if self._stored >= self._goal:
            self._goal = self._seen

    def minute_over(self) -> None:
        """Without progress what was sent again is taken for lost."""
        if self._seen > self._stored:
            self._waited += 1
            if self._waited > PATIENCE:
                self._waited, self._sent, self._goal = 0, self._stored, self._seen

    def readings(self) -> Iterator[Reading]:
        """The next ones; each says which one came before it, so that the mark can pass what is lost for good."""
        first = max(self._stored, self._sent) + 1
        if first > self._goal or self._sent > self._stored + WINDOW // 2:
            return
        before, last = first - 1, self._stored + WINDOW
        for reading in self._kept.between(first, self._goal):
            if reading.seq > last and before >= first:
                break
            if reading.seq > before + 1:
                numbers = f"{before + 1} to {reading.seq - 1}"
                log("ingest", "neither the spool nor db_writer has these readings", logging.ERROR, seq=numbers)
            yield replace(reading, after=before)
            before = reading.seq
        if before >= first:
            log("ingest", "sent readings again", logging.WARNING, first=first, last=before)
        self._sent = max(before, min(last, self._goal))
