"""Sends again, from the spool, what db_writer says has not arrived; never more than it can take."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from shared.contract.messages import Reading, Stored
from shared.runtime.log import log

WINDOW_READINGS = 2000
"""Readings sent again beyond what is stored."""
PROGRESS_TIMEOUT_TICKS = 2
"""Ticks without progress after which the same are sent once more."""


class ReadingLog(Protocol):
    """Readings by number."""

    def read_range(self, first: int, last: int) -> Iterator[Reading]: ...


class Retransmitter:
    """Follows `Stored`: what lies between its seq and its `seen` and has not arrived goes out again."""

    def __init__(self, reading_log: ReadingLog) -> None:
        self._reading_log = reading_log
        self._stored_seq = self._newest_seq = -1
        self._last_sent = -1
        """Newest number that was sent again."""
        self._target = -1
        """Numbers above it were not known to be missing when the last gap was found; they may well be on their way."""
        self._ticks_waited = 0

    def on_stored(self, stored: Stored) -> None:
        """Takes what db_writer says of this spool."""
        if stored.seq < self._stored_seq:
            # An older database has taken the place of the one that had these.
            self._last_sent, self._target = stored.seq, self._stored_seq
        if stored.seq != self._stored_seq:
            self._ticks_waited = 0
        self._stored_seq, self._newest_seq = stored.seq, max(stored.seen, stored.seq)
        if self._stored_seq >= self._target:
            self._target = self._newest_seq

    def on_minute(self) -> None:
        """Without progress what was sent again is taken for lost."""
        if self._newest_seq > self._stored_seq:
            self._ticks_waited += 1
            if self._ticks_waited > PROGRESS_TIMEOUT_TICKS:
                self._ticks_waited, self._last_sent, self._target = 0, self._stored_seq, self._newest_seq

    def next_batch(self) -> Iterator[Reading]:
        """The next ones; each says which one came before it, so that the mark can pass what is lost for good."""
        first = max(self._stored_seq, self._last_sent) + 1
        if first > self._target or self._last_sent > self._stored_seq + WINDOW_READINGS // 2:
            return
        before, last = first - 1, self._stored_seq + WINDOW_READINGS
        for reading in self._reading_log.read_range(first, self._target):
            if reading.seq > last and before >= first:
                break
            if reading.seq > before + 1:
                numbers = f"{before + 1} to {reading.seq - 1}"
                log("ingest", "neither the spool nor db_writer has these readings", logging.ERROR, seq=numbers)
            yield replace(reading, after=before)
            before = reading.seq
        if before >= first:
            log("ingest", "sent readings again", logging.WARNING, first=first, last=before)
        self._last_sent = max(before, min(last, self._target))
