"""The form of a text file that is read line by line: encoding, separator, columns, numbers and dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.ingest.sources.parser import COLUMNS, STRIPPED, Measurement, Parser, is_header, split_fields
from services.ingest.sources.timestamps import LineError, TimestampParser
from services.ingest.tables.dates import AmbiguousDate, Dates
from services.ingest.tables.form import (
    HEADER_ROWS,
    Row,
    check_sensor,
    find_layout,
    find_styles,
    is_comment,
    kind_of_row,
    without_empty_end,
)
from services.ingest.tables.headers import Layout, TableError, find_header, place_columns
from services.ingest.tables.rows import RowReader, SensorNames
from services.ingest.tables.separators import find_separator, split_line
from services.ingest.tables.values import Values
from shared.settings.sections import FileTable

HEADERS = (COLUMNS, ("at", *COLUMNS[1:]))
"""Headers of the documented CSV."""
SMALLEST_SENTINEL = 9999.0
"""Positive values below are no sentinels."""


class Site(NamedTuple):
    """What the lines of all files of a site share."""

    timestamps: TimestampParser
    sensors: SensorNames


class LineForm:
    """Reads the lines of one file. A line of the documented CSV is parsed at once, all others as a row of a table."""

    def __init__(self, site: Site, table: FileTable, separator: str, layout: Layout, styles: tuple[str, str]) -> None:
        """`styles` are the decimal sign and the order of dates; "" where the file has not settled them."""
        self._site, self._table, self._separator = site, table, separator
        self.values = Values(styles[0], table.missing)
        self._dates = Dates(styles[1])
        self._smallest = 0.0 if table.missing else SMALLEST_SENTINEL
        self._parser: Parser | None = None
        self._header_problem: LineError | None = None
        self._has_header = False
        """Whether the header was read."""
        self.first = 1
        """Number of the first line below the header and its units."""
        self.header = ""
        """Line of the newest header that differs from the first one."""
        self.skipped: Counter[str] = Counter()
        """Kind of lines that hold no readings to their number."""
        self._place(layout)

    @classmethod
    def documented(cls, site: Site, table: FileTable) -> LineForm:
        """Return the form of the documented CSV."""
        form = cls(site, table, ",", place_columns(COLUMNS, {}, {}), ("", table.dates))
        form._parser = Parser(site.timestamps)
        return form

    @property
    def sensors(self) -> SensorNames:
        return self._site.sensors

    def read(self, line: str) -> list[Measurement]:
        """Return the measurements of a line: none for a header, a comment or a row of totals. Raises LineError."""
        problem = None
        if self._parser and '"' not in line:
            try:
                return [self._checked(self._parser.parse(line))]
            except LineError as error:
                problem = error
        line = line.strip(STRIPPED)
        if not line.strip():
            return []
        fields = split_line(line, self._separator)
        width = len(self.layout.titles)
        if kind := kind_of_row(fields, self.layout.titles):
            is_first_header = kind == "repeated header" and not self._has_header
            self._has_header = self._has_header or is_first_header
            self.skipped.update([] if is_first_header else [kind])
            return []
        if self._is_other_header(line, fields):
            self._set_header(line, fields)
            return []
        if self._header_problem:
            raise self._header_problem
        if (problem and len(without_empty_end(fields)) > width) or (problem and len(fields) < width):
            raise problem
        return self.reader.read(fields + [""] * (width - len(fields)))

    def _is_other_header(self, line: str, fields: list[str]) -> bool:
        """Whether a line names columns, and not those of the present header."""
        if self._parser and is_header(line):
            return True
        return find_header([fields], self._table.columns) is not None

    def _set_header(self, line: str, fields: list[str]) -> None:
        """Read the lines that follow by another header. Raises LineError if its columns can't be placed."""
        if self._parser and tuple(name.casefold() for name in split_fields(line)) in HEADERS:
            return
        self._parser, self.header, self._header_problem = None, line, None
        try:
            layout = place_columns(without_empty_end(fields), self._table.columns, self._table.units)
            check_sensor(layout, self._site.sensors, "this header")
        except TableError as error:
            self._header_problem = LineError("{error}", "{error}", error=str(error)[:2000])
            raise self._header_problem from None
        self._place(layout)

    def _place(self, layout: Layout) -> None:
        self.layout = layout
        self.reader = RowReader(
            layout, self._site.timestamps, self._dates, self.values, self._site.sensors, self._table.good
        )

    def _checked(self, minute: Measurement) -> Measurement:
        """Return a measurement of the site's sensor, without values such as 9999 that stand in place of a value."""
        flow_rate, pressure = self._without_sentinel(minute.flow_rate), self._without_sentinel(minute.pressure)
        sensor = self._site.sensors.find(minute.sensor)
        if flow_rate == minute.flow_rate and pressure == minute.pressure and sensor == minute.sensor:
            return minute
        return Measurement(sensor, minute.at, flow_rate, pressure)

    def _without_sentinel(self, value: float | None) -> float | None:
        if value is None or 0 <= value < self._smallest or not self.values.is_missing(f"{value:.15g}"):
            return value
        return self.values.parse(f"{value:.15g}")


def find_form(lines: list[str], site: Site, table: FileTable, name: str) -> LineForm | None:
    """Return the form of a file by its first lines; None while they hold no data. Raises TableError if in doubt."""
    if not (table.columns or table.units) and (known := is_documented(lines)) is not False:
        return LineForm.documented(site, table) if known else None
    separator = find_separator([line for line in lines if line.strip()])
    rows = list(_rows(lines, separator))
    head = list(islice(rows, HEADER_ROWS))
    if all(is_comment(fields[0]) for _, fields in head):
        return None
    layout, first = find_layout(head, table, name)
    check_sensor(layout, site.sensors, name)
    data = [row for row in rows if row[0] >= first and not kind_of_row(row[1], layout.titles)]
    if not data:
        return None
    decimal, order = find_styles(data, layout, table, name)
    _check_dates(data, layout, order, name)
    form = LineForm(site, table, separator, layout, (decimal, order))
    form.first, form._has_header = first, True
    return form


def is_documented(lines: list[str]) -> bool | None:
    """Whether a file starts as the documented CSV; None if the lines hold no data.

    A line that can't be a header of its columns, such as a banner or a damaged line, does not decide.
    """
    parser = Parser(ZoneInfo("UTC"))
    has_lines = False
    for line in (line.strip(STRIPPED) for line in lines):
        if not line:
            continue
        if ";" in line or ("\t" in line and "," not in line) or '"' in line:
            return False
        fields = split_fields(line)
        if tuple(name.casefold() for name in fields) in HEADERS:
            continue
        try:
            parser.parse(line)
        except LineError:
            if is_header(line) or (len(fields) >= len(COLUMNS) and not any(field[:1].isdigit() for field in fields)):
                return False
            has_lines = True
        else:
            return True
    return False if has_lines else None


def _rows(lines: list[str], separator: str) -> Iterator[Row]:
    """Yield the rows that are not empty; a line whose quotes can't be read is left out."""
    for number, line in enumerate(lines, 1):
        stripped = line.strip(STRIPPED)
        with suppress(LineError):
            if stripped.strip() and any(fields := split_line(stripped, separator)):
                yield number, fields


def _check_dates(rows: list[Row], layout: Layout, order: str, name: str) -> None:
    """Raise TableError if a date may mean several days."""
    dates = Dates(order)
    for number, fields in rows:
        try:
            dates.to_iso(" ".join(fields[index].strip() for index in layout.time if index < len(fields)))
        except AmbiguousDate as error:
            raise TableError(f"{name}:{number}: {error}") from None
        except LineError:
            continue
