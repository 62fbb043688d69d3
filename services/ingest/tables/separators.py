"""Separators of fields, and the fields of one line."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from services.ingest.sources.timestamps import LineError

SEPARATORS = {";": "semicolon", "\t": "tab", ",": "comma", "|": "bar"}


def find_separator(lines: Sequence[str]) -> str:
    """Return the first separator that most lines contain; a line such as `sep=;` decides."""
    for line in lines[:3]:
        if line.startswith("sep=") and line[4:5] in SEPARATORS:
            return line[4:5]
    for separator in SEPARATORS:
        if sum(separator in line for line in lines) * 2 > len(lines):
            return separator
    return ","


def split_line(line: str, separator: str) -> list[str]:
    """Return the fields of a line, without quotes. Raises LineError for a quote that is not closed."""
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise LineError("따옴표를 읽을 수 없습니다: {error}", "quotes can't be read: {error}", error=error) from None
