"""The spool: every accepted reading is on disk before it is published, and can be retransmitted."""

from __future__ import annotations

import errno
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from services.ingest.sources.parser import Measurement
from services.ingest.spool_segment import (
    POSITION_MARK,
    Line,
    boot_id_of,
    encode_line,
    first_seq_of,
    newest_segments,
    read_lines,
    segment_name,
    segments_of,
    to_reading,
)
from shared.contract.messages import Reading
from shared.contract.service import Unavailable
from shared.contract.status_codes import Problem, problem
from shared.runtime.log import log
from shared.runtime.safe_files import fsync_path

SEGMENT_BYTES = 2_000_000
"""Bytes after which a new segment file is started."""
SEGMENT_MINUTES = 360
WARN_SHARE = 0.8
"""Share of the allowed size that may be unstored before the status warns."""
DUPLICATE_TIMEOUT_MINUTES = 10
"""Minutes after a restart during which the source may deliver readings that the spool already has."""

MeasurementKey = tuple[str, datetime, float | None, float | None]


class Spool:
    """Files {boot_id}-{first seq}.log with one line per reading.

    seq, sensor, at, flow_rate, pressure, source, marks (spool_segment), CRC-32.

    boot_id identifies the spool. seq continues across restarts of ingest and starts at 0 only in a new spool.
    """

    def __init__(self, folder: Path, site: str, days: float, megabytes: float) -> None:
        """Keep `days` of readings, counted in minutes that ingest has run, so that no clock change expires them."""
        self._folder, self._site, self._retention_minutes, self._max_bytes = (
            folder,
            site,
            int(days * 1440),
            int(megabytes * 1e6),
        )
        self._segment_minutes: dict[Path, int] = {}
        """Minutes in each complete segment."""
        folder.mkdir(parents=True, exist_ok=True)
        segments = newest_segments(folder)
        self.boot_id = boot_id_of(segments[-1]) if segments else uuid.uuid4().hex[:12]
        self.next_seq = 0
        """seq of the next reading."""
        self.problem: Problem | None = None
        """Readings that are about to be dropped, or were dropped."""
        self._stored_seq = -1
        self._minutes = 0
        self._possible_duplicates: set[MeasurementKey] = set()
        self._duplicate_minutes_left = DUPLICATE_TIMEOUT_MINUTES
        try:
            if segments:
                self._resume(segments[-1])
        except OSError as error:
            log("ingest", "spool_unreadable", logging.ERROR, reason=str(error))
            segments, self.boot_id = [], uuid.uuid4().hex[:12]
        if not segments:
            self._start_segment()

    def append(self, reading: Reading) -> None:
        """Append a reading: it survives a crash of ingest, and after `flush` also a power cut.

        Raises Unavailable when the disk is full.
        """
        line = encode_line(reading)
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise Unavailable(problem("spool_not_writable", reason=error.strerror)) from error
        self._size += len(line)
        self.next_seq = reading.seq + 1

    def is_duplicate(self, measurement: Measurement) -> bool:
        """Whether the spool has this measurement and the source delivered it again from an older position."""
        if not self._possible_duplicates:
            return False
        key = (measurement.sensor, measurement.at, measurement.flow_rate, measurement.pressure)
        duplicate = key in self._possible_duplicates
        self._possible_duplicates.discard(key)
        return duplicate

    def flush(self) -> None:
        """Force appended readings to disk. Raises Unavailable when the disk is full."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise Unavailable(problem("spool_not_flushable", reason=error.strerror)) from error

    def on_position_committed(self) -> None:
        """Start a new segment when it is due and drop old ones.

        Called after a flush, when the source committed its position.  Raises OSError when the disk is full.
        """
        self._minutes += 1
        self._duplicate_minutes_left -= 1
        if self._duplicate_minutes_left < 0:
            self._possible_duplicates.clear()
        if self._possible_duplicates:
            return
        try:
            self._end_minute_or_segment()
        finally:
            self._trim()

    def mark_stored(self, seq: int) -> None:
        """Record that all readings up to `seq` are in the database."""
        self._stored_seq = seq

    def advance_to(self, seq: int) -> None:
        """Continue at `seq`: a power cut truncated the spool, and the database has more."""
        self.next_seq = max(self.next_seq, seq)

    def read_range(self, first: int, last: int) -> Iterator[Reading]:
        """Yield the spooled readings with these sequence numbers, in order."""
        segments = segments_of(self._folder, self.boot_id)
        for segment, follower in zip(segments, [*segments[1:], None], strict=True):
            if (follower and first_seq_of(follower) <= first) or first_seq_of(segment) > last:
                continue
            try:
                for line in read_lines(segment):
                    if line.kind == "reading" and first <= line.seq <= last and (reading := self._to_reading(line)):
                        yield reading
            except OSError as error:
                log("ingest", "spool_segment_unreadable", logging.ERROR, reason=str(error))

    def _end_minute_or_segment(self) -> None:
        if self._size:
            self._size += os.write(self._file, POSITION_MARK)
        if self._size >= SEGMENT_BYTES or (self._size and self._minutes >= SEGMENT_MINUTES):
            old = self._file
            self._start_segment()
            os.close(old)

    def _start_segment(self) -> None:
        self._open(self._folder / segment_name(self.boot_id, self.next_seq))
        fsync_path(self._folder)

    def _open(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(self._file).st_size
        self._minutes = 0

    def _resume(self, segment: Path) -> None:
        """Continue after the last line and truncate what a power cut left of the next one.

        The seq of a damaged line at the end is not used again: its reading may be stored.
        """
        self.next_seq, valid_bytes = first_seq_of(segment), 0
        damaged: list[int] = []
        """Numbers of the damaged lines since the last whole one."""
        for line in read_lines(segment):
            if line.kind == "mark":
                self._possible_duplicates.clear()
            elif reading := self._to_reading(line):
                self._report_damage(segment, damaged, reading.seq)
                damaged, self.next_seq = [], reading.seq + 1
                self._possible_duplicates.add((reading.sensor, reading.at, reading.flow_rate, reading.pressure))
            elif line.kind == "damaged":
                damaged.append(line.number)
            if line.kind != "torn":
                valid_bytes = line.end
        self._report_damage(segment, damaged, self.next_seq + len(damaged))
        self.next_seq += len(damaged)
        self._open(segment)
        os.ftruncate(self._file, valid_bytes)
        self._size = valid_bytes

    def _report_damage(self, segment: Path, lines: list[int], next_seq: int) -> None:
        """Log damaged lines; the spool has no reading from the expected seq up to `next_seq`."""
        if lines:
            lost = next_seq - self.next_seq
            log("ingest", "spool_line_damaged", logging.ERROR, file=segment.name, line=lines[0], readings=lost)

    def _to_reading(self, line: Line) -> Reading | None:
        return to_reading(line, self._site, self.boot_id)

    def _trim(self) -> None:
        """Drop segments that are stored and old.

        Above the allowed size the oldest segments are dropped too, with a warning if they are unstored.
        """
        segments = segments_of(self._folder, self.boot_id)
        sizes = {segment: segment.stat().st_size for segment in segments}
        ages = self._ages(segments)
        total = sum(sizes.values())
        unstored_bytes, dropped = 0, self.problem is not None and self.problem.code == "readings_dropped"
        for segment, follower in pairwise(segments):
            is_stored = first_seq_of(follower) - 1 <= self._stored_seq
            if (is_stored and ages[segment] >= self._retention_minutes) or total > self._max_bytes:
                segment.unlink()
                total -= sizes[segment]
                if not is_stored:
                    self.problem, dropped = problem("readings_dropped", seq=first_seq_of(follower) - 1), True
            elif not is_stored:
                unstored_bytes += sizes[segment]
        if not unstored_bytes:
            self.problem = None
        elif unstored_bytes > WARN_SHARE * self._max_bytes and not dropped:
            self.problem = problem("spool_filling", megabytes=round(unstored_bytes / 1e6))

    def _ages(self, segments: list[Path]) -> dict[Path, int]:
        """Return the minutes that ingest has run since each complete segment was closed."""
        for segment in segments[:-1]:
            if segment not in self._segment_minutes:
                with suppress(OSError):
                    self._segment_minutes[segment] = sum(line.kind == "mark" for line in read_lines(segment))
        self._segment_minutes = {segment: self._segment_minutes.get(segment, 0) for segment in segments[:-1]}
        ages, age = {}, self._minutes
        for segment in reversed(segments[:-1]):
            ages[segment] = age
            age += self._segment_minutes[segment]
        return ages


class NullSpool:
    """Null object for a replay: nothing is kept, because a replay can be repeated."""

    problem: Problem | None = None

    def __init__(self, boot_id: str) -> None:
        self.boot_id, self.next_seq = boot_id, 0

    def append(self, reading: Reading) -> None:
        self.next_seq = reading.seq + 1

    def is_duplicate(self, measurement: Measurement) -> bool:  # noqa: ARG002
        return False

    def flush(self) -> None:
        pass

    def mark_stored(self, seq: int) -> None:
        pass

    def advance_to(self, seq: int) -> None:
        pass

    def read_range(self, first: int, last: int) -> Iterator[Reading]:  # noqa: ARG002
        return iter(())
