"""Reads a complete file of readings in any form; decides columns, numbers and dates from the whole file first."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.sources.parser import COLUMNS
from services.ingest.sources.timestamps import LineError, TimestampParser
from services.ingest.tables.dates import Dates, date_part, find_order, is_time
from services.ingest.tables.headers import (
    Layout,
    TableError,
    ValueColumn,
    find_header,
    place_columns,
    with_units_row,
)
from services.ingest.tables.names import BAD_QUALITY, GOOD_QUALITY
from services.ingest.tables.rows import RowReader, SensorNames, is_totals_row
from services.ingest.tables.table_rows import Row, open_table
from services.ingest.tables.units import plain
from services.ingest.tables.values import Values, find_decimal
from shared.settings import FileTable

END_OF_FILE = "\x1a"
"""The sign that old systems write at the end of a text file."""
HEADER_ROWS = 50
"""A header is among the first rows."""


class ReadingsFile:
    """A file of readings whose form is known. Iterate for its measurements and rejected lines."""

    def __init__(self, path: Path, zone: ZoneInfo, table: FileTable, sensors: SensorNames) -> None:
        """Find the form of a file. Raises TableError if it is in doubt, OSError."""
        self._path, self.sensors, self._table = path, sensors, table
        self._rows = open_table(path)
        self.form = self._rows.form
        """Encoding and separator, or sheet, for people."""
        self.skipped: Counter[str] = Counter()
        """Kind of rows that hold no readings to their number."""
        self.layout, self._first = self._find_layout()
        decimal, order = self._find_styles()
        if self.layout.sensor is None and not self.layout.values[0].sensor and not sensors.only:
            raise TableError(
                f"{path.name} names no sensor, and the site has none or several: write [sensors.NAME] "
                "in site.toml, or pass --sensor NAME"
            )
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
        width = len(self.layout.titles)
        for number, fields in self._rows.rows():
            if number < self._first:
                continue
            if fields[0] == END_OF_FILE:
                continue
            if fields[0].startswith("#"):
                self.skipped["comment"] += 1
            elif is_totals_row(fields):
                self.skipped["totals"] += 1
            elif [field.strip() for field in fields[:width]] == list(self.layout.titles):
                self.skipped["repeated header"] += 1
            else:
                yield number, fields

    def _find_layout(self) -> tuple[Layout, int]:
        """Return the layout and the number of the first row of data."""
        head = [
            row for row in itertools.islice(self._rows.rows(), HEADER_ROWS) if not row[1][0].startswith(("#", "sep="))
        ]
        if not head:
            raise TableError(f"{self._path.name} has no rows")
        columns = self._table.columns
        by_position = bool(columns) and all(title.isdecimal() for title in columns.values())
        at = None if by_position else find_header([fields for _, fields in head], columns)
        if at is None:
            return self._layout_without_header(head, by_position), head[0][0]
        titles = _without_empty_end(head[at][1])
        layout = place_columns(titles, columns, self._table.units)
        below = head[at + 1] if at + 1 < len(head) else None
        if below and (with_units := with_units_row(layout, below[1])):
            return with_units, below[0] + 1
        return layout, head[at][0] + 1

    def _layout_without_header(self, head: Sequence[Row], by_position: bool) -> Layout:
        fields = _without_empty_end(max((fields for _, fields in head), key=lambda row: len(_without_empty_end(row))))
        titles = [str(position) for position in range(1, len(fields) + 1)]
        if by_position:
            return place_columns(titles, self._table.columns, self._table.units)
        marks = {plain(row[len(COLUMNS)]) for _, row in head if len(row) > len(COLUMNS)}
        has_quality = len(fields) == len(COLUMNS) + 1 and marks - {""} <= GOOD_QUALITY | BAD_QUALITY
        if not is_time(head[0][1][0]):
            return place_columns(_without_empty_end(head[0][1]), {}, {})
        if not (len(fields) == len(COLUMNS) or has_quality):
            raise TableError(
                f"{self._path.name} has no header, and {len(fields)} columns instead of the four "
                f"{', '.join(COLUMNS)}; its first row is {', '.join(map(repr, head[0][1][: len(fields)]))}. "
                "Write what the columns hold by their position in site.toml, such as:\n"
                '[source.NAME]\nkind = "file"\ncolumns = { time = "1", sensor = "2", flow_rate = "3" }'
            )
        values = (ValueColumn(2, "flow_rate"), ValueColumn(3, "pressure"))
        return Layout((*COLUMNS, "quality")[: len(fields)], (0,), values, 1, 4 if has_quality else None)

    def _find_styles(self) -> tuple[str, str]:
        """Return the decimal sign and the order of dates. Raises TableError if the file does not settle the sign."""
        indices = [column.index for column in self.layout.values]
        dates: dict[str, None] = {}
        texts: set[str] = set()
        for _, fields in self._data_rows():
            dates[date_part(fields[self.layout.time[0]])] = None
            texts.update(text for index in indices if "," in (text := fields[index]) or "." in text)
        decimal = self._table.decimal or find_decimal(text.strip() for text in texts)
        if decimal is None:
            example = next((text for text in sorted(texts) if "," in text), "")
            raise TableError(
                f'{self._path.name}: {example!r} may have a decimal comma or thousands; write decimal = "," or '
                'decimal = "." in a [source.NAME] table of site.toml'
            )
        dates.pop("", None)
        return decimal, self._table.dates or find_order(list(dates))


def _without_empty_end(fields: Sequence[str]) -> list[str]:
    width = max((index for index, field in enumerate(fields, 1) if field.strip()), default=0)
    return list(fields[:width])
