"""Reads the documented CSV line by line; a line in another form is read as a row of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from services.ingest.sources.line_reader import (
    MAX_LINE_BYTES,
    NOT_UTF8,
    BadLine,
    LineError,
    Measurement,
    Parser,
    open_lines,
    read_measurements,
)
from services.ingest.sources.parser import COLUMNS, STRIPPED, is_header, split_fields
from services.ingest.sources.timestamps import TimestampParser
from services.ingest.tables.dates import Dates
from services.ingest.tables.headers import Layout, place_columns
from services.ingest.tables.rows import RowReader, SensorNames, is_totals_row
from services.ingest.tables.values import Values
from shared.settings import FileTable

BLOCK_BYTES = 1 << 20
HEADERS = (COLUMNS, ("at", *COLUMNS[1:]))
"""Headers of the documented CSV."""
SMALLEST_SENTINEL = 9999.0
"""Positive values below are no sentinels."""


def is_documented(path: Path, sensors: SensorNames) -> bool:
    """Whether a file starts as the documented CSV and has no quotes. Raises OSError if it can't be opened."""
    parser = Parser(ZoneInfo("UTC"))
    with open_lines(path) as file:
        while raw := file.readline(MAX_LINE_BYTES):
            try:
                line = raw.decode().strip(STRIPPED)
            except UnicodeDecodeError:
                return False
            if not line:
                continue
            if ";" in line or ("\t" in line and "," not in line) or b'"' in raw:
                return False
            try:
                if is_header(line):
                    parser.set_header(line)
                    if tuple(name.casefold() for name in split_fields(line)) not in HEADERS:
                        return False
                    continue
                sensor = parser.parse(line).sensor
            except LineError:
                return False
            return sensors.find(sensor) == sensor and not _has_quote_or_header(file)
    return False


def _has_quote_or_header(file: BinaryIO) -> bool:
    """Whether the rest of a file has a quote or a header: its columns may then change, or hold separators."""
    end = b""
    while block := file.read(BLOCK_BYTES):
        text = end + block.lower()
        if b'"' in text or b"sensor" in text:
            return True
        end = text[-len("sensor") :]
    return False


class DocumentedFile:
    """A file that starts as the documented CSV. Iterate for its measurements and rejected lines."""

    form = "UTF-8, documented CSV"

    def __init__(self, path: Path, zone: ZoneInfo, table: FileTable, sensors: SensorNames) -> None:
        """Open nothing yet; `table` gives further texts in place of a value."""
        self._path, self.sensors = path, sensors
        self.skipped: Counter[str] = Counter()
        """Kind of rows that hold no readings to their number."""
        self.values = Values(".", table.missing)
        self._smallest = 0.0 if table.missing else SMALLEST_SENTINEL
        self.layout: Layout = place_columns(COLUMNS, {}, {})
        self._timestamps = TimestampParser(zone)
        self.reader = RowReader(self.layout, self._timestamps, Dates(table.dates), self.values, sensors)

    def __iter__(self) -> Iterator[Measurement | BadLine]:
        """Yield the file's measurements; a line that is not as documented is read as a row, or rejected."""
        for item in read_measurements(self._path, self._timestamps):
            if isinstance(item, Measurement):
                yield self._without_sentinels(item)
            elif not item.raw or item.reason is NOT_UTF8:
                yield item
            else:
                yield from self._read_row(item)

    def _read_row(self, line: BadLine) -> Iterator[Measurement | BadLine]:
        fields = line.raw.split(",")
        if line.raw.startswith("#") or is_totals_row(fields):
            self.skipped["comment" if line.raw.startswith("#") else "totals"] += 1
            return
        while len(fields) > len(COLUMNS) and not fields[-1].strip():
            fields.pop()
        if len(fields) != len(COLUMNS):
            yield line
            return
        try:
            yield from self.reader.read(fields)
        except LineError as error:
            yield line._replace(reason=error.text)

    def _without_sentinels(self, minute: Measurement) -> Measurement:
        """Remove values such as 9999 that stand in place of a value."""
        flow_rate, pressure = self._checked(minute.flow_rate), self._checked(minute.pressure)
        if flow_rate == minute.flow_rate and pressure == minute.pressure:
            return minute
        return minute._replace(flow_rate=flow_rate, pressure=pressure)

    def _checked(self, value: float | None) -> float | None:
        if value is None or 0 <= value < self._smallest or not self.values.is_missing(f"{value:.15g}"):
            return value
        return self.values.parse(f"{value:.15g}")
