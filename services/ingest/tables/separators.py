"""Separators of fields, and the fields of one line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from services.ingest.sources.timestamps import LineError

SEPARATORS = {";": "semicolon", "\t": "tab", ",": "comma", "|": "bar"}


def find_separator(lines: Sequence[str]) -> str:
    """Return the separator of which most lines have the same number; a line such as `sep=;` decides.

    Of several, the first: a decimal comma is as frequent as a semicolon.
    """
    for line in lines[:3]:
        if line.startswith("sep=") and line[4:5] in SEPARATORS:
            return line[4:5]
    lines_by_separator = {separator: _lines_alike(lines, separator) for separator in SEPARATORS}
    best = max(lines_by_separator, key=lambda separator: lines_by_separator[separator])
    return best if lines_by_separator[best] else ","


def _lines_alike(lines: Sequence[str], separator: str) -> int:
    """Return how many lines have the most frequent number of separators, if that is not 0."""
    numbers: Counter[int] = Counter()
    for line in lines:
        with suppress(LineError):
            numbers[len(split_line(line, separator)) - 1] += 1
    del numbers[0]
    return max(numbers.values(), default=0)


def split_line(line: str, separator: str) -> list[str]:
    """Return the fields of a line, without quotes. Raises LineError for a quote that is not closed."""
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise LineError("따옴표를 읽을 수 없습니다: {error}", "quotes can't be read: {error}", error=error) from None
