"""Reads a complete file of readings in any form; decides columns, numbers and dates from the whole file first."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.sources.timestamps import LineError, TimestampParser
from services.ingest.tables.dates import Dates
from services.ingest.tables.form import HEADER_ROWS, Row, check_sensor, find_layout, find_styles, kind_of_row
from services.ingest.tables.rows import RowReader, SensorNames
from services.ingest.tables.table_rows import open_table
from services.ingest.tables.values import Values
from shared.settings.sections import FileTable


class ReadingsFile:
    """A file of readings whose form is known. Iterate for its measurements and rejected lines."""

    def __init__(self, path: Path, zone: ZoneInfo, table: FileTable, sensors: SensorNames) -> None:
        """Find the form of a file. Raises TableError if it is in doubt, OSError."""
        self._path, self.sensors = path, sensors
        self._rows = open_table(path)
        self.form = self._rows.form
        """Encoding and separator, or sheet, for people."""
        self.skipped: Counter[str] = Counter()
        """Kind of rows that hold no readings to their number."""
        self.layout, self._first = find_layout(list(itertools.islice(self._rows.rows(), HEADER_ROWS)), table, path.name)
        decimal, order = find_styles(self._data_rows(), self.layout, table, path.name)
        check_sensor(self.layout, sensors, path.name)
        self.values = Values(decimal, table.missing)
        self.reader = RowReader(self.layout, TimestampParser(zone), Dates(order), self.values, sensors, table.good)

    def __iter__(self) -> Iterator[Measurement | BadLine]:
        """Yield measurements and rejected rows. Raises TableError if the rest can't be read."""
        for number, fields in self._data_rows():
            try:
                if any("\n" in field and self._rows.separator in field for field in fields if self._rows.separator):
                    raise LineError(
                        "따옴표가 닫히지 않아 여러 줄이 한 필드가 되었습니다", "a quote is not closed and spans lines"
                    )
                yield from self.reader.read(fields)
            except LineError as error:
                yield BadLine(self._path.name, number, " ".join(fields)[:4000], error.text)

    def _data_rows(self) -> Iterator[Row]:
        """Yield the rows below the header that are neither comments, units, totals nor the header again."""
        self.skipped.clear()
        for number, fields in self._rows.rows():
            if number < self._first:
                continue
            if kind := kind_of_row(fields, self.layout.titles):
                self.skipped[kind] += 1
            else:
                yield number, fields
