"""Reads a complete file that starts as the documented CSV line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from services.ingest.sources.line_reader import BadLine, Measurement, open_lines, read_lines
from services.ingest.sources.timestamps import TimestampParser
from services.ingest.tables.headers import Layout
from services.ingest.tables.line_form import LineForm, Site, is_documented
from services.ingest.tables.rows import RowReader, SensorNames
from shared.settings.sections import FileTable

HEAD_BYTES = 65_536
"""Bytes at the beginning that show the form."""
BLOCK_BYTES = 1 << 20


def is_documented_file(path: Path) -> bool:
    """Whether a file starts as the documented CSV, and has neither quotes nor a second header. Raises OSError."""
    with open_lines(path) as file:
        head = file.read(HEAD_BYTES)
        try:
            lines = head[: head.rfind(b"\n") + 1 or None].decode().split("\n")
        except UnicodeDecodeError:
            return False
        return is_documented(lines) is True and not _has_quote_or_header(head, file)


def _has_quote_or_header(head: bytes, file: BinaryIO) -> bool:
    """Whether a file has a quote, or a header below its first: columns may change, or hold separators."""
    first = head.lower().find(b"sensor")
    end, block = b"", head[first + len(b"sensor") :] if first >= 0 else head
    while block:
        text = end + block.lower()
        if b'"' in text or b"sensor" in text:
            return True
        end = text[-len("sensor") :]
        block = file.read(BLOCK_BYTES)
    return False


class DocumentedFile:
    """A file that starts as the documented CSV. Iterate for its measurements and rejected lines."""

    form = "UTF-8, documented CSV"

    def __init__(self, path: Path, zone: ZoneInfo, table: FileTable, sensors: SensorNames) -> None:
        """Open nothing yet; `table` gives further texts in place of a value."""
        self._path, self._lines = path, LineForm.documented(Site(TimestampParser(zone), sensors), table)
        self.sensors, self.values, self.skipped = sensors, self._lines.values, self._lines.skipped

    @property
    def layout(self) -> Layout:
        return self._lines.layout

    @property
    def reader(self) -> RowReader:
        return self._lines.reader

    def __iter__(self) -> Iterator[Measurement | BadLine]:
        """Yield the file's measurements and rejected lines."""
        return read_lines(self._path, self._lines.read)


def read_measurements(path: Path, zone: ZoneInfo) -> Iterator[Measurement | BadLine]:
    """Yield the measurements and rejected lines of a complete file in the documented form. Raises OSError."""
    return iter(DocumentedFile(path, zone, FileTable(), SensorNames(())))
