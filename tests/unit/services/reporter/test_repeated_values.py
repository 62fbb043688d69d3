"""A slow sensor has a line a minute: between its readings the newest values, until it is silent."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.db_writer.report_reader import ReportReader
from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from shared.contract.messages import Cadence, SensorState
from shared.contract.status_codes import NO_TEXT
from tests.unit.factories import minute_at, prediction, tick, verdict

SEOUL = ZoneInfo("Asia/Seoul")
INTERVAL_MINUTES, LATE_MINUTES = 15, 40
STATE = SensorState(
    site="site1",
    sensor="001",
    service="detector",
    at=minute_at(0),
    is_active=True,
    since=minute_at(0),
    text=NO_TEXT,
    flow_rate=Cadence(INTERVAL_MINUTES, LATE_MINUTES),
    pressure=Cadence(INTERVAL_MINUTES, LATE_MINUTES),
)


def run(path: Path, minutes: int, last_reading: int = 10_000, has_repeated_column: bool = False) -> Reporter:
    """Return a reporter after so many minutes with a reading every INTERVAL_MINUTES up to `last_reading`."""
    service = Reporter(OutputFolder(path), SEOUL, (24,), 7, NullHistoryLookup(), has_repeated_column)
    list(service.start())
    list(service.handle(STATE))
    for minute in range(minutes):
        if minute % INTERVAL_MINUTES == 0 and minute <= last_reading:
            list(service.handle(verdict(minute, 10.0 + minute)))
        list(service.handle(tick(minute)))
        list(service.end_batch())
    return service


def values(lines: str) -> list[tuple[str, str]]:
    """Return minute and flow rate of each line."""
    return [(line.split()[1][-5:], line.split()[2]) for line in lines.splitlines()]


def test_block_repeats_the_newest_reading(tmp_path: Path) -> None:
    run(tmp_path, 41)
    block = (tmp_path / "outbox" / "server-20261123T2320.txt").read_text()
    assert values(block) == [(f"23:{minute}", "25.00" if minute < 30 else "40.00") for minute in range(20, 30)]


def test_alert_txt_keeps_the_time_of_the_minute(tmp_path: Path) -> None:
    run(tmp_path, 24)
    assert values((tmp_path / "alert.txt").read_text()) == [("23:22", "25.00")]


def test_values_end_when_the_sensor_is_late(tmp_path: Path) -> None:
    run(tmp_path, 72, last_reading=15)
    first_late = INTERVAL_MINUTES + LATE_MINUTES
    block = (tmp_path / "outbox" / "server-20261123T2350.txt").read_text()
    assert values(block) == [(f"23:{minute}", "25.00" if minute < first_late else "NULL") for minute in range(50, 60)]


def test_forecast_stays_on_the_line_of_the_full_hour(tmp_path: Path) -> None:
    service = run(tmp_path, 59)
    list(service.handle(prediction(60)))
    for minute in range(59, 72):
        list(service.handle(tick(minute)))
        list(service.end_batch())
    lines = (tmp_path / "outbox" / "server-20261124T0000.txt").read_text().splitlines()
    assert [line.split()[11] != "NULL" for line in lines] == [True, *[False] * 9]


@pytest.mark.parametrize("has_repeated_column", [False, True])
def test_last_column_says_what_is_repeated_only_if_it_is_switched_on(tmp_path: Path, has_repeated_column: bool) -> None:
    run(tmp_path, 41, has_repeated_column=has_repeated_column)
    lines = (tmp_path / "outbox" / "server-20261123T2310.txt").read_text().splitlines()
    marks = ["1" if minute != INTERVAL_MINUTES else "0" for minute in range(10, 20)]
    assert [line.split()[13:] for line in lines] == [[mark] if has_repeated_column else [] for mark in marks]


def test_restart_in_a_block_repeats_again(tmp_path: Path) -> None:
    run(tmp_path, 25)
    service = Reporter(OutputFolder(tmp_path), SEOUL, (24,), 7, NullHistoryLookup())
    list(service.start())
    list(service.handle(STATE))
    list(service.handle(verdict(15, 25.0)))
    for minute in range(25, 32):
        list(service.handle(tick(minute)))
        list(service.end_batch())
    assert {flow for _, flow in values((tmp_path / "outbox" / "server-20261123T2320.txt").read_text())} == {"25.00"}


def test_refill_ignores_repeated_lines(tmp_path: Path) -> None:
    run(tmp_path, 75)
    reader = ReportReader(tmp_path, tmp_path / "marker", "site1", SEOUL)
    refilled = {item.at: item.reading.flow_rate for batch in reader.batches() for item in batch}
    assert refilled == {minute_at(minute): 10.0 + minute for minute in range(0, 75, INTERVAL_MINUTES)}


def test_channel_without_a_value_repeats_its_own(tmp_path: Path) -> None:
    service = run(tmp_path, 20)
    list(service.handle(verdict(20, None)))
    list(service.end_batch())
    assert values((tmp_path / "alert.txt").read_text()) == [("23:20", "25.00")]
