"""Finds the form of a table from its rows: where the columns are, and how it writes numbers and dates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.ingest.sources.parser import COLUMNS
from services.ingest.tables.dates import date_part, find_order, is_time
from services.ingest.tables.headers import (
    Layout,
    TableError,
    ValueColumn,
    find_header,
    place_columns,
    with_units_row,
)
from services.ingest.tables.names import BAD_QUALITY, GOOD_QUALITY
from services.ingest.tables.rows import SensorNames, is_totals_row
from services.ingest.tables.units import plain
from services.ingest.tables.values import Values, find_decimal
from shared.settings.sections import FileTable

Row = tuple[int, list[str]]
"""Line or row, from 1, and its fields."""
END_OF_FILE = "\x1a"
"""The sign that old systems write at the end of a text file."""
HEADER_ROWS = 50
"""A header is among the first rows."""


def find_layout(head: Sequence[Row], table: FileTable, name: str) -> tuple[Layout, int]:
    """Return the layout and the number of the first row of data. Raises TableError if it is in doubt."""
    head = [row for row in head[:HEADER_ROWS] if not is_comment(row[1][0])]
    if not head:
        raise TableError(f"{name} has no rows")
    columns = table.columns
    by_position = bool(columns) and all(title.isdecimal() for title in columns.values())
    at = None if by_position else find_header([fields for _, fields in head], columns)
    if at is None:
        return _layout_without_header(head, table, by_position, name), head[0][0]
    layout = place_columns(without_empty_end(head[at][1]), columns, table.units)
    below = head[at + 1] if at + 1 < len(head) else None
    if below and (with_units := with_units_row(layout, below[1])):
        return with_units, below[0] + 1
    return layout, head[at][0] + 1


def check_sensor(layout: Layout, sensors: SensorNames, name: str) -> None:
    """Raise TableError if neither the table nor the site names a sensor."""
    if layout.sensor is None and not layout.values[0].sensor and not sensors.only:
        raise TableError(
            f"{name} names no sensor, and the site has none or several: write [sensors.NAME] "
            "in site.toml, or pass --sensor NAME to ./wvr import"
        )


def is_comment(first: str) -> bool:
    """Whether a row whose first field this is holds no data; `#N/A` and `###` stand in place of a value."""
    return first.startswith("sep=") or (first.startswith("#") and not Values().is_missing(first))


def kind_of_row(fields: Sequence[str], titles: Sequence[str]) -> str:
    """Return why a row below the header holds no readings: comment, totals, repeated header, end; else ""."""
    if fields[0] == END_OF_FILE:
        return "end"
    if is_comment(fields[0]):
        return "comment"
    if is_totals_row(fields):
        return "totals"
    is_header = [field.strip() for field in fields[: len(titles)]] == list(titles)
    return "repeated header" if is_header else ""


def find_styles(rows: Iterable[Row], layout: Layout, table: FileTable, name: str) -> tuple[str, str]:
    """Return the decimal sign and the order of dates; "" where no number has a sign, or the rows settle no order.

    Raises TableError for numbers that have two meanings.
    """
    indices = [column.index for column in layout.values]
    dates: dict[str, None] = {}
    texts: set[str] = set()
    for _, fields in rows:
        dates[date_part(_field(fields, layout.time[0]))] = None
        texts.update(text for index in indices if "," in (text := _field(fields, index)) or "." in text)
    decimal = table.decimal or (find_decimal(text.strip() for text in texts) if texts else "")
    if decimal is None:
        example = next((text for text in sorted(texts) if "," in text), "")
        raise TableError(
            f'{name}: {example!r} may have a decimal comma or thousands; write decimal = "," or '
            'decimal = "." in a [source.NAME] table of site.toml'
        )
    dates.pop("", None)
    return decimal, table.dates or find_order(list(dates))


def without_empty_end(fields: Sequence[str]) -> list[str]:
    """Return the fields up to the last one that is not empty."""
    width = max((index for index, field in enumerate(fields, 1) if field.strip()), default=0)
    return list(fields[:width])


def _field(fields: Sequence[str], index: int) -> str:
    return fields[index] if index < len(fields) else ""


def _layout_without_header(head: Sequence[Row], table: FileTable, by_position: bool, name: str) -> Layout:
    fields = without_empty_end(max((fields for _, fields in head), key=lambda row: len(without_empty_end(row))))
    titles = [str(position) for position in range(1, len(fields) + 1)]
    if by_position:
        return place_columns(titles, table.columns, table.units)
    marks = {plain(row[len(COLUMNS)]) for _, row in head if len(row) > len(COLUMNS)}
    has_quality = len(fields) == len(COLUMNS) + 1 and marks - {""} <= GOOD_QUALITY | BAD_QUALITY
    if not is_time(head[0][1][0]):
        return place_columns(without_empty_end(head[0][1]), {}, {})
    if not (len(fields) == len(COLUMNS) or has_quality):
        raise TableError(
            f"{name} has no header, and {len(fields)} columns instead of the four "
            f"{', '.join(COLUMNS)}; its first row is {', '.join(map(repr, head[0][1][: len(fields)]))}. "
            "Write what the columns hold by their position in site.toml, such as:\n"
            '[source.NAME]\nkind = "file"\ncolumns = { time = "1", sensor = "2", flow_rate = "3" }'
        )
    values = (ValueColumn(2, "flow_rate"), ValueColumn(3, "pressure"))
    return Layout((*COLUMNS, "quality")[: len(fields)], (0,), values, 1, 4 if has_quality else None)
