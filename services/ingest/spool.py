"""Ingest's own memory on disk: every accepted reading is here before it is published, and can be sent again."""

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
from shared.runtime.files import flush_path, open_regular
from shared.runtime.log import log
from shared.runtime.service import Unavailable

SEGMENT = 2_000_000
"""Bytes from which on a file of the spool is followed by the next."""
SEGMENT_MINUTES = 360
LOUD = 0.8
"""Part of the allowed size, not yet stored, from which on the status says so."""
PATIENCE = 10
"""Minutes after which readings that the source was expected to give again are no longer expected."""
DROPPED = "the spool was full: unstored readings were dropped"
NAME = re.compile(r"[0-9a-f]{12}-[0-9]{12}\.log", re.ASCII)
LONGEST = 1000
"""Bytes; no line of ours is as long."""
PLACED = b"=\n"
"""The source's place was remembered here, once a minute: what comes below may be read from it again."""

Key = tuple[str, datetime, float | None, float | None]


class Spool:
    """Files {boot_id}-{first seq}.log, one line a reading: seq, sensor, at, flow_rate, pressure, source, CRC-32.

    boot_id is the name of this spool: seq goes on through restarts of ingest, and begins anew only with a new spool.
    """

    def __init__(self, folder: Path, site: str, days: float, megabytes: float) -> None:
        """`days` of ingest's work are kept, in minutes that it counted itself: no clock that is set makes them old."""
        self._folder, self._site, self._kept, self._most = folder, site, int(days * 1440), int(megabytes * 1e6)
        self._spans: dict[Path, int] = {}
        """Minutes in each file that is full."""
        folder.mkdir(parents=True, exist_ok=True)
        segments = self._segments(_newest_spool(folder))
        self.boot_id = _boot_of(segments[-1]) if segments else uuid.uuid4().hex[:12]
        self.next = 0
        """seq of the next reading."""
        self.note = ""
        """What the operator must know: readings that will be dropped, or were."""
        self._stored = -1
        self._minutes = 0
        self._expected: set[Key] = set()
        self._patience = PATIENCE
        try:
            if segments:
                self._resume(segments[-1])
        except OSError as error:
            log("ingest", "the spool can't be read, a new one is begun", logging.ERROR, reason=str(error))
            segments, self.boot_id = [], uuid.uuid4().hex[:12]
        if not segments:
            self._begin()

    def append(self, reading: Reading) -> None:
        """Hands a reading to the system: safe when ingest dies, and after `flush` in a power cut too.

        Raises Unavailable when the disk is full.
        """
        line = _line(reading)
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise Unavailable(f"the spool can't be written, readings wait: {error.strerror}") from error
        self._size += len(line)
        self.next = reading.seq + 1

    def has(self, measurement: Measurement) -> bool:
        """Whether a measurement is here already, and was given again since the source's place was older."""
        if not self._expected:
            return False
        key = (measurement.sensor, measurement.at, measurement.flow_rate, measurement.pressure)
        known = key in self._expected
        self._expected.discard(key)
        return known

    def flush(self) -> None:
        """Forces to disk what was appended. Raises Unavailable when the disk is full."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise Unavailable(f"the spool can't be flushed, readings wait: {error.strerror}") from error

    def placed(self) -> None:
        """The source has remembered its place, after a flush: starts a new file when it is time, drops old ones.

        Raises OSError when the disk is full.
        """
        self._minutes += 1
        self._patience -= 1
        if self._patience < 0:
            self._expected.clear()
        if self._expected:
            return
        try:
            self._end_minute()
        finally:
            self._trim()

    def stored(self, seq: int) -> None:
        """All up to seq is in the database."""
        self._stored = seq

    def skip_to(self, seq: int) -> None:
        """Goes on with this number: a power cut took the end of the spool, and the database has more."""
        self.next = max(self.next, seq)

    def between(self, first: int, last: int) -> Iterator[Reading]:
        """Readings with these numbers that are here, in order."""
        segments = self._segments(self.boot_id)
        for segment, follower in zip(segments, [*segments[1:], None], strict=True):
            if (follower and _first_of(follower) <= first) or _first_of(segment) > last:
                continue
            try:
                yield from self._within(segment, first, last)
            except OSError as error:
                log("ingest", "a file of the spool can't be read", logging.ERROR, reason=str(error))

    def _within(self, segment: Path, first: int, last: int) -> Iterator[Reading]:
        for line in _lines(segment):
            number = line.split(b",", 1)[0]
            if number.isdigit() and first <= int(number) <= last and (reading := self._reading(line)):
                yield reading

    def _end_minute(self) -> None:
        if self._size:
            self._size += os.write(self._file, PLACED)
        if self._size >= SEGMENT or (self._size and self._minutes >= SEGMENT_MINUTES):
            old = self._file
            self._begin()
            os.close(old)

    def _begin(self) -> None:
        self._open(self._folder / f"{self.boot_id}-{self.next:012d}.log")
        flush_path(self._folder)

    def _open(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(self._file).st_size
        self._minutes = 0

    def _resume(self, segment: Path) -> None:
        """Goes on behind the last whole line; what a power cut has torn is cut off."""
        self.next, whole = _first_of(segment), 0
        for line in _lines(segment):
            if line == PLACED:
                self._expected.clear()
            elif reading := self._reading(line):
                self.next = reading.seq + 1
                self._expected.add((reading.sensor, reading.at, reading.flow_rate, reading.pressure))
            else:
                break
            whole += len(line)
        self._open(segment)
        os.ftruncate(self._file, whole)
        self._size = whole

    def _trim(self) -> None:
        """Drops what is stored and old; beyond the allowed size the oldest, and says so when it is not stored."""
        segments = self._segments(self.boot_id)
        sizes = {segment: segment.stat().st_size for segment in segments}
        ages = self._ages(segments)
        total = sum(sizes.values())
        waiting, dropped = 0, self.note.startswith(DROPPED)
        for segment, follower in pairwise(segments):
            safe = _first_of(follower) - 1 <= self._stored
            if (safe and ages[segment] >= self._kept) or total > self._most:
                segment.unlink()
                total -= sizes[segment]
                if not safe:
                    self.note, dropped = f"{DROPPED} up to number {_first_of(follower) - 1}", True
            elif not safe:
                waiting += sizes[segment]
        if not waiting:
            self.note = ""
        elif waiting > LOUD * self._most and not dropped:
            self.note = (
                f"{waiting / 1e6:.0f} MB of the spool are not stored by db_writer; soon readings will be dropped"
            )

    def _ages(self, segments: list[Path]) -> dict[Path, int]:
        """Minutes that ingest has worked since each full file was ended."""
        for segment in segments[:-1]:
            if segment not in self._spans:
                with suppress(OSError):
                    self._spans[segment] = sum(line == PLACED for line in _lines(segment))
        self._spans = {segment: self._spans.get(segment, 0) for segment in segments[:-1]}
        ages, age = {}, self._minutes
        for segment in reversed(segments[:-1]):
            ages[segment] = age
            age += self._spans[segment]
        return ages

    def _segments(self, boot_id: str) -> list[Path]:
        return _segments_of(self._folder, boot_id)

    def _reading(self, line: bytes) -> Reading | None:
        try:
            body, checksum = line.decode("utf-8").rstrip("\n").rsplit(",", 1)
            if not line.endswith(b"\n") or int(checksum, 16) != zlib.crc32(body.encode("utf-8")):
                return None
            seq, sensor, at, flow_rate, pressure, source = body.split(",")
            values = (float(flow_rate) if flow_rate else None, float(pressure) if pressure else None)
            moment, number = datetime.fromisoformat(at), int(seq)
            reading = Reading(self._site, sensor, moment, *values, self.boot_id, number, source)
            validate(reading)
        except ValueError:
            return None
        return reading


class NoSpool:
    """Nothing is kept: a replay can be repeated."""

    note = ""

    def __init__(self, boot_id: str) -> None:
        self.boot_id, self.next = boot_id, 0

    def append(self, reading: Reading) -> None:
        self.next = reading.seq + 1

    def has(self, measurement: Measurement) -> bool:  # noqa: ARG002
        return False

    def flush(self) -> None:
        pass

    def stored(self, seq: int) -> None:
        pass

    def skip_to(self, seq: int) -> None:
        pass

    def between(self, first: int, last: int) -> Iterator[Reading]:  # noqa: ARG002
        return iter(())


def _segments_of(folder: Path, boot_id: str) -> list[Path]:
    """Files of a spool, oldest first."""
    return sorted((path for path in _files_of(folder) if _boot_of(path) == boot_id), key=_first_of)


def newest(folder: Path) -> tuple[str, int] | None:
    """boot_id and number of the newest reading, from outside; None when there is no spool."""
    segments = _segments_of(folder, _newest_spool(folder))
    if not segments:
        return None
    numbers = [line.split(b",", 1)[0] for line in _lines(segments[-1]) if line.endswith(b"\n")]
    last = max((int(number) for number in numbers if number.isdigit()), default=_first_of(segments[-1]) - 1)
    return _boot_of(segments[-1]), last


def _line(reading: Reading) -> bytes:
    flow_rate = "" if reading.flow_rate is None else repr(reading.flow_rate)
    pressure = "" if reading.pressure is None else repr(reading.pressure)
    body = f"{reading.seq},{reading.sensor},{reading.at.isoformat()},{flow_rate},{pressure},{reading.source}"
    return f"{body},{zlib.crc32(body.encode('utf-8')):08x}\n".encode()


def _files_of(folder: Path) -> list[Path]:
    """What has the name of a spool's file, and is a file."""
    return [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()]


def _newest_spool(folder: Path) -> str:
    """Name of the spool that was written last; empty when there is none."""
    newest = max(_files_of(folder), key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
    return _boot_of(newest) if newest else ""


def _lines(segment: Path) -> Iterator[bytes]:
    """Lines with their ends; of what is longer than any of ours, parts. Raises OSError."""
    with open_regular(segment) as file:
        while line := file.readline(LONGEST):
            yield line


def _boot_of(segment: Path) -> str:
    return segment.stem.rsplit("-", 1)[0]


def _first_of(segment: Path) -> int:
    return int(segment.stem.rsplit("-", 1)[1])
