"""The spool: every accepted reading is on disk before it is published, and can be retransmitted."""

from __future__ import annotations

import errno
import logging
import os
import re
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from services.ingest.sources.parser import Measurement
from shared.contract.codec import validate
from shared.contract.messages import Reading
from shared.contract.service import Unavailable
from shared.contract.status_codes import Problem, problem
from shared.runtime.log import log
from shared.runtime.safe_files import fsync_path, open_regular_file

SEGMENT_BYTES = 2_000_000
"""Bytes after which a new segment file is started."""
SEGMENT_MINUTES = 360
WARN_SHARE = 0.8
"""Share of the allowed size that may be unstored before the status warns."""
DUPLICATE_TIMEOUT_MINUTES = 10
"""Minutes after a restart during which the source may deliver readings that the spool already has."""
DROPPED_TEXT = "the spool was full: unstored readings were dropped"
SEGMENT_NAME = re.compile(r"[0-9a-f]{12}-[0-9]{12}\.log", re.ASCII)
MAX_LINE_BYTES = 1000
"""Bytes; every valid line is shorter."""
POSITION_MARK = b"=\n"
"""Written once a minute, after the source committed its position. The source may deliver the lines below it again."""

MARKS = ("completes", "belated")
"""Attributes of a reading that its line names if they are true."""
MeasurementKey = tuple[str, datetime, float | None, float | None]


class Spool:
    """Files {boot_id}-{first seq}.log with one line per reading: seq, sensor, at, flow_rate, pressure, source, CRC-32.

    The MARKS of a reading stand before the CRC-32.

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
        segments = self._segments(_newest_spool(folder))
        self.boot_id = _boot_id_of(segments[-1]) if segments else uuid.uuid4().hex[:12]
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
        line = _encode_line(reading)
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
        segments = self._segments(self.boot_id)
        for segment, follower in zip(segments, [*segments[1:], None], strict=True):
            if (follower and _first_seq_of(follower) <= first) or _first_seq_of(segment) > last:
                continue
            try:
                yield from self._read_segment(segment, first, last)
            except OSError as error:
                log("ingest", "spool_segment_unreadable", logging.ERROR, reason=str(error))

    def _read_segment(self, segment: Path, first: int, last: int) -> Iterator[Reading]:
        for line in _read_lines(segment):
            number = line.split(b",", 1)[0]
            if number.isdigit() and first <= int(number) <= last and (reading := self._parse_line(line)):
                yield reading

    def _end_minute_or_segment(self) -> None:
        if self._size:
            self._size += os.write(self._file, POSITION_MARK)
        if self._size >= SEGMENT_BYTES or (self._size and self._minutes >= SEGMENT_MINUTES):
            old = self._file
            self._start_segment()
            os.close(old)

    def _start_segment(self) -> None:
        self._open(self._folder / f"{self.boot_id}-{self.next_seq:012d}.log")
        fsync_path(self._folder)

    def _open(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(self._file).st_size
        self._minutes = 0

    def _resume(self, segment: Path) -> None:
        """Continue after the last complete line and truncate what a power cut left of the next one."""
        self.next_seq, valid_bytes = _first_seq_of(segment), 0
        for line in _read_lines(segment):
            if line == POSITION_MARK:
                self._possible_duplicates.clear()
            elif reading := self._parse_line(line):
                self.next_seq = reading.seq + 1
                self._possible_duplicates.add((reading.sensor, reading.at, reading.flow_rate, reading.pressure))
            else:
                break
            valid_bytes += len(line)
        self._open(segment)
        os.ftruncate(self._file, valid_bytes)
        self._size = valid_bytes

    def _trim(self) -> None:
        """Drop segments that are stored and old.

        Above the allowed size the oldest segments are dropped too, with a warning if they are unstored.
        """
        segments = self._segments(self.boot_id)
        sizes = {segment: segment.stat().st_size for segment in segments}
        ages = self._ages(segments)
        total = sum(sizes.values())
        unstored_bytes, dropped = 0, self.problem is not None and self.problem.code == "readings_dropped"
        for segment, follower in pairwise(segments):
            is_stored = _first_seq_of(follower) - 1 <= self._stored_seq
            if (is_stored and ages[segment] >= self._retention_minutes) or total > self._max_bytes:
                segment.unlink()
                total -= sizes[segment]
                if not is_stored:
                    self.problem, dropped = problem("readings_dropped", seq=_first_seq_of(follower) - 1), True
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
                    self._segment_minutes[segment] = sum(line == POSITION_MARK for line in _read_lines(segment))
        self._segment_minutes = {segment: self._segment_minutes.get(segment, 0) for segment in segments[:-1]}
        ages, age = {}, self._minutes
        for segment in reversed(segments[:-1]):
            ages[segment] = age
            age += self._segment_minutes[segment]
        return ages

    def _segments(self, boot_id: str) -> list[Path]:
        return _segments_of(self._folder, boot_id)

    def _parse_line(self, line: bytes) -> Reading | None:
        try:
            body, checksum = line.decode("utf-8").rstrip("\n").rsplit(",", 1)
            if not line.endswith(b"\n") or int(checksum, 16) != zlib.crc32(body.encode("utf-8")):
                return None
            seq, sensor, at, flow_rate, pressure, source, *marks = body.split(",")
            if not set(marks) <= set(MARKS):
                return None
            reading = Reading(
                site=self._site,
                sensor=sensor,
                at=datetime.fromisoformat(at),
                flow_rate=float(flow_rate) if flow_rate else None,
                pressure=float(pressure) if pressure else None,
                boot_id=self.boot_id,
                seq=int(seq),
                source=source,
                completes="completes" in marks,
                belated="belated" in marks,
            )
            validate(reading)
        except ValueError:
            return None
        return reading


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


def _segments_of(folder: Path, boot_id: str) -> list[Path]:
    """Return the segments of a spool, oldest first."""
    return sorted((path for path in _segment_files(folder) if _boot_id_of(path) == boot_id), key=_first_seq_of)


def latest_seq(folder: Path) -> tuple[str, int] | None:
    """Return boot_id and seq of the newest reading in a spool folder; None if there is no spool."""
    segments = _segments_of(folder, _newest_spool(folder))
    if not segments:
        return None
    numbers = [line.split(b",", 1)[0] for line in _read_lines(segments[-1]) if line.endswith(b"\n")]
    last = max((int(number) for number in numbers if number.isdigit()), default=_first_seq_of(segments[-1]) - 1)
    return _boot_id_of(segments[-1]), last


def _encode_line(reading: Reading) -> bytes:
    flow_rate = "" if reading.flow_rate is None else repr(reading.flow_rate)
    pressure = "" if reading.pressure is None else repr(reading.pressure)
    body = f"{reading.seq},{reading.sensor},{reading.at.isoformat()},{flow_rate},{pressure},{reading.source}"
    body += "".join(f",{mark}" for mark in MARKS if getattr(reading, mark))
    return f"{body},{zlib.crc32(body.encode('utf-8')):08x}\n".encode()


def _segment_files(folder: Path) -> list[Path]:
    """Return the regular files whose name is that of a segment."""
    return [path for path in folder.iterdir() if SEGMENT_NAME.fullmatch(path.name) and path.is_file()]


def _newest_spool(folder: Path) -> str:
    """Return the boot_id of the spool that was written last; empty if there is none."""
    newest_segment = max(_segment_files(folder), key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
    return _boot_id_of(newest_segment) if newest_segment else ""


def _read_lines(segment: Path) -> Iterator[bytes]:
    """Yield lines with their line ends; longer lines come in parts. Raises OSError."""
    with open_regular_file(segment) as file:
        while line := file.readline(MAX_LINE_BYTES):
            yield line


def _boot_id_of(segment: Path) -> str:
    return segment.stem.rsplit("-", 1)[0]


def _first_seq_of(segment: Path) -> int:
    return int(segment.stem.rsplit("-", 1)[1])
