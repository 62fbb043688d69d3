"""Reads lines as measurements; an invalid line becomes a BadLine."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

from services.ingest.sources.parser import STRIPPED, Measurement, Parser, is_header
from services.ingest.sources.timestamps import LineError, TimestampParser
from shared.contract.messages import LocalizedText
from shared.contract.texts import localized
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
    "rest_unreadable",
]

NOT_UTF8 = localized("UTF-8로 된 줄이 아닙니다", "line is not UTF-8")
MAX_LINE_BYTES = 65_536
"""Bytes of a line; longer lines are rejected."""
READ_ERRORS = (OSError, EOFError, zlib.error)
"""Exceptions that reading a plain or compressed file may raise."""


class BadLine(NamedTuple):
    """An invalid line and the reason; without raw text, the reason is about the file from that line on."""

    file: str
    number: int
    raw: str
    reason: LocalizedText


def read_measurements(path: Path, zone: ZoneInfo | TimestampParser) -> Iterator[Measurement | BadLine]:
    """Yield all lines of a complete file, .gz too, including a last line without a line end.

    Raises OSError if it cannot be opened.
    """
    parser, name, number = Parser(zone), path.name, 0
    with open_lines(path) as file:
        try:
            truncated = False
            while raw := file.readline(MAX_LINE_BYTES):
                is_continuation, truncated = truncated, is_truncated(raw)
                if not is_continuation:
                    number += 1
                    item = read_line(parser, name, number, raw)
                    if item is not None:
                        yield item
        except READ_ERRORS as error:
            yield BadLine(name, number + 1, "", rest_unreadable(error))


def rest_unreadable(error: BaseException) -> LocalizedText:
    """Return why the rest of a file was not read."""
    return localized("나머지를 읽을 수 없습니다: {error}", "the rest cannot be read: {error}", error=error)


def open_lines(path: Path) -> BinaryIO:
    """Open a file for reading, uncompressed if it is a .gz. Raises OSError, also if it is not a regular file."""
    plain = open_regular_file(path)
    if path.suffix != ".gz":
        return plain
    plain.close()
    return io.BufferedReader(gzip.GzipFile(path))


def is_truncated(raw: bytes) -> bool:
    """Whether a line exceeds MAX_LINE_BYTES: the bytes that follow belong to it."""
    return len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n")


def read_line(parser: Parser, file: str, number: int, raw: bytes) -> Measurement | BadLine | None:
    """Parse a line; return None for an empty line and for a header, which becomes the parser's."""
    try:
        if len(raw) >= MAX_LINE_BYTES:
            raise LineError("줄이 {limit}바이트보다 깁니다", "line is longer than {limit} bytes", limit=MAX_LINE_BYTES)
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
        reason = NOT_UTF8 if isinstance(error, UnicodeDecodeError) else error.text
        return BadLine(file, number, raw[:4000].decode(errors="backslashreplace").strip(STRIPPED), reason)
