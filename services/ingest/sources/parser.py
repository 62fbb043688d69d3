"""Parses one line `timestamp,sensor,flow_rate,pressure`, as CSV, text or from a serial port."""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.ingest.sources.timestamps import LineError, TimestampParser
from shared.contract.messages import MAX_ABS_VALUE, is_valid_name

COLUMNS = ("timestamp", "sensor", "flow_rate", "pressure")
NO_VALUE = ("null", "nan", "-nan", "+nan")
STRIPPED = "\ufeff\0\r\n "
"""Stripped from both ends of a line: byte order mark, NUL bytes after a power cut, line ends and blanks."""


class Measurement(NamedTuple):
    """Flow rate and pressure of one minute."""

    sensor: str
    at: datetime
    """Full minute with the site's UTC offset."""
    flow_rate: float | None
    """m³/h; None if the meter gave none."""
    pressure: float | None
    """bar; None if the meter gave none."""


class Parser:
    """Parses the lines of one file or port. `header` names the columns, in any order and with others between them."""

    def __init__(self, zone: ZoneInfo | TimestampParser, header: str | None = None) -> None:
        self._timestamps = zone if isinstance(zone, TimestampParser) else TimestampParser(zone)
        self._sensors: set[str] = set()
        self._header_error: LineError | None = None
        self.header = ""
        """Header of the lines that follow; empty for the default columns."""
        self.set_header(header or "")

    def set_header(self, header: str) -> None:
        """Set the header of the lines that follow. Raises LineError, now and for each line, if a column is missing."""
        self.header = header.strip(STRIPPED)
        names = [name.casefold() for name in split_fields(self.header)] or list(COLUMNS)
        at, sensor, flow_rate, pressure = (_column_index(names, name) for name in COLUMNS)
        self._at = at if at >= 0 else _column_index(names, "at")
        self._width, self._sensor, self._flow_rate, self._pressure = len(names), sensor, flow_rate, pressure
        missing = [name for name, index in (("timestamp", self._at), ("sensor", sensor)) if index < 0]
        if flow_rate == pressure:
            missing += COLUMNS[2:]
        self._header_error = None
        if missing:
            self._header_error = LineError(
                "머리글에 {columns} 열이 없습니다", "the header lacks {columns}", columns=", ".join(missing)
            )
            raise self._header_error

    def parse(self, line: str) -> Measurement:
        """Return the measurement of a line. Raises LineError."""
        fields = split_fields(line)
        if len(fields) != self._width or self._header_error:
            self._join_date_and_time(fields, line)
        fields.append("")
        sensor = fields[self._sensor]
        if sensor not in self._sensors:
            self._check_sensor_name(sensor)
        minute = self._timestamps.parse(fields[self._at], sensor)
        return Measurement(sensor, minute, parse_value(fields[self._flow_rate]), parse_value(fields[self._pressure]))

    def _join_date_and_time(self, fields: list[str], line: str) -> None:
        """Join a date and a time that a blank or tab separates."""
        if self._header_error:
            raise self._header_error
        if len(fields) != self._width + 1 or "," in line or ";" in line:
            raise LineError(
                "필드가 {expected}개여야 하는데 {found}개입니다",
                "expected {expected} fields, found {found}",
                expected=self._width,
                found=len(fields),
            )
        fields[self._at : self._at + 2] = [" ".join(fields[self._at : self._at + 2])]

    def _check_sensor_name(self, sensor: str) -> None:
        if not (0 < len(sensor) <= 64 and is_valid_name(sensor) and sensor.strip(".")):
            raise LineError(
                "센서 이름이 올바르지 않습니다: {name!r}", "invalid sensor name: {name!r}", name=sensor[:80]
            )
        if len(self._sensors) < 1000:
            self._sensors.add(sensor)


def split_fields(line: str) -> list[str]:
    """Split a line at semicolons, else commas, else tabs, else blanks."""
    line = line.strip(STRIPPED)
    if '"' in line:
        line = line.replace('"', "")
    for separator in (";", ",", "\t"):
        if separator in line:
            fields = line.split(separator)
            has_blanks = f"{separator} " in line or f" {separator}" in line or (separator != "\t" and "\t" in line)
            return [field.strip() for field in fields] if has_blanks else fields
    return line.split()


def is_header(line: str) -> bool:
    """Whether a line names columns: one is the timestamp, and none starts with a digit."""
    names = [name.casefold() for name in split_fields(line)]
    return ("timestamp" in names or "at" in names) and not any(name[:1].isdigit() for name in names)


def parse_value(text: str) -> float | None:
    """Return a number with a decimal point; None for empty text, NULL or nan. Raises LineError, also for infinity."""
    if not text:
        return None
    try:
        value = float(text)
        if -MAX_ABS_VALUE <= value <= MAX_ABS_VALUE and "_" not in text:
            return value
    except ValueError:
        pass
    else:
        if MAX_ABS_VALUE < abs(value) < math.inf:
            raise LineError(
                "값이 {limit:g}을(를) 넘습니다: {text!r}",
                "value exceeds {limit:g}: {text!r}",
                limit=MAX_ABS_VALUE,
                text=text[:40],
            )
    if text.casefold() in NO_VALUE:
        return None
    raise LineError("숫자가 아닙니다: {text!r}", "invalid number: {text!r}", text=text[:40])


def _column_index(names: list[str], name: str) -> int:
    """Return the index of a column; -1 if it is missing."""
    return names.index(name) if name in names else -1
