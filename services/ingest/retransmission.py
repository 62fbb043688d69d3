"""Retransmits readings from the spool that db_writer reports as missing, within a window."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from shared.contract.messages import Reading, Stored
from shared.runtime.log import log

WINDOW_READINGS = 2000
"""Readings that are retransmitted beyond the stored ones."""
PROGRESS_TIMEOUT_TICKS = 2
"""Ticks without progress after which the same readings are retransmitted again."""


class ReadingLog(Protocol):
    """Readings by sequence number."""

    def read_range(self, first: int, last: int) -> Iterator[Reading]: ...


class Retransmitter:
    """Retransmits what is missing between `Stored.seq` and `Stored.seen`."""

    def __init__(self, reading_log: ReadingLog) -> None:
        self._reading_log = reading_log
        self._stored_seq = self._newest_seq = -1
        self._last_sent = -1
        """Newest sequence number that was retransmitted."""
        self._target = -1
        """Newest sequence number that was known to be missing when the last gap was found. Later readings may still
        arrive."""
        self._ticks_waited = 0

    def on_stored(self, stored: Stored) -> None:
        """Process the high-water mark that db_writer publishes for this spool."""
        if stored.seq < self._stored_seq:
            # An older database has replaced the one that had these readings.
            self._last_sent, self._target = stored.seq, self._stored_seq
        if stored.seq != self._stored_seq:
            self._ticks_waited = 0
        self._stored_seq, self._newest_seq = stored.seq, max(stored.seen, stored.seq)
        if self._stored_seq >= self._target:
            self._target = self._newest_seq

    def on_minute(self) -> None:
        """Count a tick without progress; after the timeout, retransmitted readings count as lost."""
        if self._newest_seq > self._stored_seq:
            self._ticks_waited += 1
            if self._ticks_waited > PROGRESS_TIMEOUT_TICKS:
                self._ticks_waited, self._last_sent, self._target = 0, self._stored_seq, self._newest_seq

    def next_batch(self) -> Iterator[Reading]:
        """Yield the next readings to retransmit.

        Each names its predecessor, so that the high-water mark can pass readings that are lost for good.
        """
        first = max(self._stored_seq, self._last_sent) + 1
        if first > self._target or self._last_sent > self._stored_seq + WINDOW_READINGS // 2:
            return
        previous, window_end = first - 1, self._stored_seq + WINDOW_READINGS
        for reading in self._reading_log.read_range(first, self._target):
            if reading.seq > window_end and previous >= first:
                break
            if reading.seq > previous + 1:
                log("ingest", "readings_lost", logging.ERROR, first=previous + 1, last=reading.seq - 1)
            yield replace(reading, after=previous)
            previous = reading.seq
        if previous >= first:
            log("ingest", "readings_retransmitted", logging.WARNING, first=first, last=previous)
        self._last_sent = max(previous, min(window_end, self._target))
