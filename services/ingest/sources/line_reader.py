"""Reads lines as measurements; an invalid line becomes a BadLine."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from services.ingest.sources.parser import STRIPPED, Measurement, Parser
from services.ingest.sources.timestamps import LineError
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
    "read_lines",
    "rest_unreadable",
]

NOT_UTF8 = localized("UTF-8로 된 줄이 아닙니다", "line is not UTF-8")
NOT_DECODABLE = localized("파일의 문자 인코딩으로 읽을 수 없는 줄입니다", "line is not in the encoding of the file")
MAX_LINE_BYTES = 65_536
"""Bytes of a line; longer lines are rejected."""
LineFunction = Callable[[str], Sequence[Measurement]]
"""Returns the measurements of a line; raises LineError."""
READ_ERRORS = (OSError, EOFError, zlib.error)
"""Exceptions that reading a plain or compressed file may raise."""


class BadLine(NamedTuple):
    """An invalid line and the reason; without raw text, the reason is about the file from that line on."""

    file: str
    number: int
    raw: str
    reason: LocalizedText


def read_lines(path: Path, read: LineFunction) -> Iterator[Measurement | BadLine]:
    """Yield all lines of a complete file, .gz too, including a last line without a line end.

    Raises OSError if it cannot be opened.
    """
    name, number = path.name, 0
    with open_lines(path) as file:
        try:
            truncated = False
            while raw := file.readline(MAX_LINE_BYTES):
                is_continuation, truncated = truncated, is_truncated(raw)
                if not is_continuation:
                    number += 1
                    yield from read_line(read, name, number, raw)
        except READ_ERRORS as error:
            yield BadLine(name, number + 1, "", rest_unreadable(error))


def rest_unreadable(error: BaseException) -> LocalizedText:
    """Return why the rest of a file was not read."""
    return localized("나머지를 읽을 수 없습니다: {error}", "the rest cannot be read: {error}", error=error)


def open_lines(path: Path) -> BinaryIO:
    """Open a file for reading, uncompressed if it is a .gz. Raises OSError, also if it is not a regular file."""
    plain = open_regular_file(path)
    if path.suffix.casefold() != ".gz":
        return plain
    plain.close()
    return io.BufferedReader(gzip.GzipFile(path))


def is_truncated(raw: bytes) -> bool:
    """Whether a line exceeds MAX_LINE_BYTES: the bytes that follow belong to it."""
    return len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n")


def read_line(
    read: LineFunction, file: str, number: int, raw: bytes, encoding: str = "utf-8"
) -> Sequence[Measurement | BadLine]:
    """Return the measurements of a line, or a BadLine."""
    try:
        if len(raw) >= MAX_LINE_BYTES:
            raise LineError("줄이 {limit}바이트보다 깁니다", "line is longer than {limit} bytes", limit=MAX_LINE_BYTES)
        return read(raw.decode(encoding))
    except (UnicodeDecodeError, LineError) as error:
        reason = error.text if isinstance(error, LineError) else NOT_UTF8 if encoding == "utf-8" else NOT_DECODABLE
        text = raw[:4000].decode(encoding, errors="backslashreplace").strip(STRIPPED)[:4000]
        return (BadLine(file, number, text, reason),)
