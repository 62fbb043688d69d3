"""Fuzz of lines from a source: a valid measurement, a bad line with its reason, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.fuzz.targets import FuzzInput
from services.ingest.sources.line_reader import BadLine, read_line
from services.ingest.sources.parser import Measurement, Parser
from services.ingest.sources.timestamps import LineError, TimestampParser
from services.ingest.tables.headers import TableError
from services.ingest.tables.line_form import LineForm, Site, find_form
from services.ingest.tables.rows import SensorNames
from shared.contract.codec import validate
from shared.contract.messages import Reading
from shared.settings.sections import FileTable

ZONES = [ZoneInfo(name) for name in ("Asia/Seoul", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns")]


def open_target(name: str, _: Path) -> FuzzInput:
    """Return the target: a file with many lines and headers, or a serial port with independent lines."""
    return _read_file if name == "lines of a file" else _read_serial


def _read_file(data: bytes) -> None:
    site = Site(TimestampParser(ZONES[len(data) % len(ZONES)]), SensorNames(("001",), "001"))
    try:
        form = find_form(data.decode("utf-8", "backslashreplace").split("\n"), site, FileTable(), "a.csv")
    except TableError:
        return
    read = (form or LineForm.documented(site, FileTable())).read
    for number, raw in enumerate(data.splitlines(keepends=True), 1):
        for item in read_line(read, "a.csv", number, raw):
            if isinstance(item, BadLine):
                assert item.reason
                assert len(item.raw) <= 4 * 4000
            else:
                _assert_valid(item)


SERIAL_PARSER = Parser(ZONES[1])


def _read_serial(data: bytes) -> None:
    try:
        measurement = SERIAL_PARSER.parse(data.decode("utf-8", "replace"))
    except LineError:
        return
    _assert_valid(measurement)


def _assert_valid(item: Measurement) -> None:
    validate(
        Reading(
            site="site1",
            sensor=item.sensor,
            at=item.at,
            flow_rate=item.flow_rate,
            pressure=item.pressure,
            boot_id="boot",
            seq=0,
            source="file",
        )
    )


def seeds(name: str) -> Iterator[bytes]:
    lines = (
        b"2026-08-03 09:49,001,12.5,4.1",
        b"2026-08-03T09:49:00+09:00;001;;4.1",
        b"2016-10-30 02:30\t001\tNULL\t1e3",
        b"2026-08-03 09:49 001 nan 4.1",
        '2099-12-31T23:59Z,"급수-1",-0,4'.encode(),
    )
    yield from lines
    if name == "lines of a file":
        yield b"timestamp,sensor,flow_rate,pressure\n" + b"\n".join(lines)
        yield b"\xef\xbb\xbfsensor;pressure;at\n001;4;2026-08-03 09:49\n\0\0\n"
