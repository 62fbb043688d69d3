"""Files of lines become measurements; a line that can't be taken becomes a BadLine."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

from services.ingest.sources.parser import STRIPPED, Measurement, Parser, is_header
from services.ingest.sources.timestamps import LineError
from shared.runtime.safe_files import open_regular_file

__all__ = [
    "READ_ERRORS",
    "BadLine",
    "LineError",
    "Measurement",
    "Parser",
    "open_lines",
    "read_line",
    "read_measurements",
]

MAX_LINE_BYTES = 65_536
"""Bytes of a line; what is longer is no line."""
READ_ERRORS = (OSError, EOFError, zlib.error)
"""What reading a file, packed or not, may raise."""


class BadLine(NamedTuple):
    """A line that can't be taken, and why; without raw text it speaks of the file from that line on."""

    file: str
    number: int
    raw: str
    reason: str


def read_measurements(path: Path, zone: ZoneInfo) -> Iterator[Measurement | BadLine]:
    """All lines of a whole file, `.gz` too, the last one also without its end. Raises OSError if it can't be opened."""
    parser, name, number = Parser(zone), path.name, 0
    with open_lines(path) as file:
        try:
            goes_on = False
            while raw := file.readline(MAX_LINE_BYTES):
                skipped, goes_on = goes_on, is_truncated(raw)
                if not skipped:
                    number += 1
                    item = read_line(parser, name, number, raw)
                    if item is not None:
                        yield item
        except READ_ERRORS as error:
            yield BadLine(name, number + 1, "", f"can't be read any further: {error}")


def open_lines(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked if it is a .gz. Raises OSError, also for what is no regular file."""
    plain = open_regular_file(path)
    if path.suffix != ".gz":
        return plain
    plain.close()
    return io.BufferedReader(gzip.GzipFile(path))


def is_truncated(raw: bytes) -> bool:
    """Whether a line was longer than LONGEST: what follows belongs to it."""
    return len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n")


def read_line(parser: Parser, file: str, number: int, raw: bytes) -> Measurement | BadLine | None:
    """What a line says; None for an empty one and for a header, which the parser takes."""
    try:
        if len(raw) >= MAX_LINE_BYTES:
            raise LineError(f"longer than {MAX_LINE_BYTES} bytes")
        line = raw.decode()
        try:
            return parser.parse(line)
        except LineError:
            if not line.strip(STRIPPED + "\t"):
                return None
            if not is_header(line):
                raise
            parser.set_header(line)
            return None
    except (UnicodeDecodeError, LineError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        return BadLine(file, number, raw[:4000].decode(errors="backslashreplace").strip(STRIPPED), reason)
