"""One file of the spool: its name, and lines that are checked one by one."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from shared.contract.codec import validate
from shared.contract.messages import Clock, Reading
from shared.runtime.safe_files import open_regular_file

SEGMENT_NAME = re.compile(r"[0-9a-f]{12}-[0-9]{12}\.log", re.ASCII)
MAX_LINE_BYTES = 1000
"""Bytes; every valid line is shorter."""
MAX_SKIP_BYTES = 1_000_000
"""Bytes of a longer line that are skipped; what follows even more is not read."""
POSITION_MARK = b"=\n"
"""Written once a minute, after the source committed its position. The source may deliver the lines below it again."""

FIELDS = 6
"""Fields of a line before its marks."""
DOUBTFUL_CLOCKS: tuple[Clock, ...] = ("doubted", "set_back")
MARKS = ("completes", "belated")
"""Attributes of a reading that its line names if they are true; a clock that is not ok is a mark, too."""


class Line(NamedTuple):
    """A line of a segment, or the whole reading in a damaged one."""

    number: int
    """From 1."""
    end: int
    """Bytes from the start of the file to the end of the line."""
    kind: Literal["reading", "mark", "damaged", "torn"]
    """`torn`: without a line end."""
    fields: tuple[str, ...] = ()
    """seq, sensor, at, flow_rate, pressure, source, marks; empty if the checksum is wrong."""

    @property
    def seq(self) -> int:
        return int(self.fields[0]) if self.fields[0].isdecimal() else -1


def read_lines(segment: Path) -> Iterator[Line]:
    """Yield the lines of a segment. Raises OSError.

    A damaged line end joins two lines: both a damaged line and the whole reading behind it are yielded.
    """
    end = number = 0
    with open_regular_file(segment) as file:
        while raw := file.readline(MAX_LINE_BYTES):
            end, number = end + len(raw), number + 1
            if not raw.endswith(b"\n"):
                rest = file.readline(MAX_SKIP_BYTES)
                raw, end = (raw + rest)[-MAX_LINE_BYTES:], end + len(rest)
            if raw == POSITION_MARK:
                yield Line(number, end, "mark")
            elif not raw.endswith(b"\n"):
                yield Line(number, end, "torn")
                return
            elif fields := _checked_fields(raw):
                yield Line(number, end, "reading", fields)
            else:
                yield Line(number, end, "damaged")
                parts = (_checked_fields(raw[start:]) for start in range(1, len(raw)))
                if fields := next((part for part in parts if part), ()):
                    yield Line(number, end, "reading", fields)


def to_reading(line: Line, site: str, boot_id: str) -> Reading | None:
    """Return the reading of a line; None if it has none that the contract allows."""
    try:
        seq, sensor, at, flow_rate, pressure, source, *marks = line.fields
        if not {*marks} <= {*MARKS, *DOUBTFUL_CLOCKS}:
            return None
        reading = Reading(
            site=site,
            sensor=sensor,
            at=datetime.fromisoformat(at),
            flow_rate=float(flow_rate) if flow_rate else None,
            pressure=float(pressure) if pressure else None,
            boot_id=boot_id,
            seq=int(seq),
            source=source,
            clock=next((clock for clock in DOUBTFUL_CLOCKS if clock in marks), "ok"),
            completes="completes" in marks,
            belated="belated" in marks,
        )
        validate(reading)
    except ValueError:
        return None
    return reading


def encode_line(reading: Reading) -> bytes:
    """Return the line of a reading."""
    flow_rate = "" if reading.flow_rate is None else repr(reading.flow_rate)
    pressure = "" if reading.pressure is None else repr(reading.pressure)
    body = f"{reading.seq},{reading.sensor},{reading.at.isoformat()},{flow_rate},{pressure},{reading.source}"
    marks: list[str] = [reading.clock] if reading.clock != "ok" else []
    marks += [mark for mark in MARKS if getattr(reading, mark)]
    body = ",".join([body, *marks])
    return f"{body},{zlib.crc32(body.encode('utf-8')):08x}\n".encode()


def segment_name(boot_id: str, first_seq: int) -> str:
    """Return the file name of a segment."""
    return f"{boot_id}-{first_seq:012d}.log"


def boot_id_of(segment: Path) -> str:
    """Return the id of the spool that a segment belongs to."""
    return segment.stem.rsplit("-", 1)[0]


def first_seq_of(segment: Path) -> int:
    """Return the sequence number of the first reading of a segment."""
    return int(segment.stem.rsplit("-", 1)[1])


def segments_of(folder: Path, boot_id: str) -> list[Path]:
    """Return the segments of a spool, oldest first."""
    return sorted((path for path in _segment_files(folder) if boot_id_of(path) == boot_id), key=first_seq_of)


def newest_segments(folder: Path) -> list[Path]:
    """Return the segments of the spool that was written last, oldest first; none if there is no spool."""
    newest = max(_segment_files(folder), key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
    return segments_of(folder, boot_id_of(newest)) if newest else []


def latest_seq(folder: Path) -> tuple[str, int] | None:
    """Return boot_id and seq of the newest reading in a spool folder; None if there is no spool."""
    segments = newest_segments(folder)
    if not segments:
        return None
    numbers = (line.seq for line in read_lines(segments[-1]) if line.kind == "reading")
    return boot_id_of(segments[-1]), max(numbers, default=first_seq_of(segments[-1]) - 1)


def _segment_files(folder: Path) -> list[Path]:
    """Return the regular files whose name is that of a segment."""
    return [path for path in folder.iterdir() if SEGMENT_NAME.fullmatch(path.name) and path.is_file()]


def _checked_fields(raw: bytes) -> tuple[str, ...]:
    """Return the fields of a reading's line; none if the checksum or their number is wrong."""
    body, _, checksum = raw.rstrip(b"\n").rpartition(b",")
    if checksum != b"%08x" % zlib.crc32(body):
        return ()
    try:
        fields = tuple(body.decode("utf-8").split(","))
    except UnicodeDecodeError:
        return ()
    return fields if len(fields) >= FIELDS else ()
