"""Yields the rows of CSV files and spreadsheets as texts, by pandas."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from services.ingest.sources.line_reader import open_lines
from services.ingest.tables.encoding import find_encoding
from services.ingest.tables.form import Row
from services.ingest.tables.headers import TableError
from services.ingest.tables.separators import SEPARATORS, find_separator

SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
SAMPLE_LINES = 200
"""Lines that decide the separator."""
CHUNK_ROWS = 50_000
SPARE_COLUMNS = 8
"""A later row may have so many fields more than the sample."""


class TableRows(NamedTuple):
    """The rows of a file."""

    form: str
    """Encoding and separator, or sheet, for people."""
    separator: str
    """Separator of fields; empty in a spreadsheet."""
    rows: Callable[[], Iterator[Row]]
    """Yields the rows from the start of the file with each call."""


def open_table(path: Path) -> TableRows:
    """Open a CSV file, .gz too, or a spreadsheet. Raises TableError, OSError."""
    if path.suffix.casefold() in SPREADSHEETS:
        return _open_spreadsheet(path)
    with open_lines(path) as file:
        encoding = find_encoding(file)
    try:
        with open_lines(path) as file, io.TextIOWrapper(file, encoding, newline=None) as text:
            sample = list(itertools.islice((line[:65_536] for line in text if line.strip()), SAMPLE_LINES))
        separator = find_separator(sample)
        width = max((len(row) for row in csv.reader(sample, delimiter=separator)), default=1) + SPARE_COLUMNS
    except (UnicodeError, csv.Error) as error:
        raise TableError(f"{path.name} can't be read as {encoding}: {error}") from error
    form = f"{'UTF-8' if encoding.startswith('utf-8') else encoding}, {SEPARATORS[separator]}"
    return TableRows(form, separator, lambda: _csv_rows(path, encoding, separator, width))


def _csv_rows(path: Path, encoding: str, separator: str, width: int) -> Iterator[Row]:
    number = 0
    with open_lines(path) as file:
        try:
            for chunk in pd.read_csv(
                file,
                sep=separator,
                header=None,
                names=range(width),
                index_col=False,
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                skip_blank_lines=False,
                encoding=encoding,
                chunksize=CHUNK_ROWS,
            ):
                for fields in chunk.itertuples(index=False, name=None):
                    number += 1
                    if any(fields):
                        yield number, [field or "" for field in fields]
        except pd.errors.EmptyDataError:
            return
        except (pd.errors.ParserError, UnicodeError) as error:
            raise TableError(f"{path.name}, after line {number}: {error}") from error


def _open_spreadsheet(path: Path) -> TableRows:
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, na_filter=False, engine="calamine")
    except OSError:
        raise
    except Exception as error:
        raise TableError(f"{path.name} can't be read as a spreadsheet: {error}") from error
    filled = {name: sheet for name, sheet in sheets.items() if len(sheet)}
    if len(filled) != 1:
        raise TableError(f"{path.name} has {len(filled)} sheets with content; save the one with the readings alone")
    ((name, sheet),) = filled.items()

    def rows() -> Iterator[Row]:
        for number, cells in enumerate(sheet.itertuples(index=False, name=None), 1):
            fields = [cell_text(cell) for cell in cells]
            if any(fields):
                yield number, fields

    return TableRows(f"sheet {name}", "", rows)


def cell_text(cell: Any) -> str:
    """Return the text of a spreadsheet's cell; numbers with a decimal point, times as ISO 8601."""
    if cell is None or cell is pd.NaT:
        return ""
    if isinstance(cell, datetime):
        return (cell + timedelta(milliseconds=500)).replace(microsecond=0).isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    if isinstance(cell, float):
        return "" if cell != cell else str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return str(cell).strip()
