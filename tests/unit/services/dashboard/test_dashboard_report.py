"""The month's figures: losses, gaps, water balance; the CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from services.dashboard.queries.csv_rows import BYTE_ORDER_MARK, csv_text
from services.dashboard.queries.forecasts import ForecastHour
from services.dashboard.queries.gaps import read_gaps
from services.dashboard.queries.report import months_with_readings, read_report, water_balance
from services.dashboard.queries.site_time import DAY, HOUR, MINUTE
from services.dashboard.queries.spans import read_span
from services.ingest.sources.line_reader import Measurement
from services.ingest.tables.opening import by_minute, open_readings
from shared.settings import Settings, Site
from tests.unit.services.dashboard.stored_site import BERLIN, SENSOR, StoredSite, epoch

MAY, JUNE = epoch("2026-05-01T00:00"), epoch("2026-06-01T00:00")


def store_hours(site: StoredSite, start: int, stop: int, flow_rate: float) -> None:
    site.store([(at, flow_rate, 4.0) for at in range(start, stop, 15 * MINUTE)])


def test_a_month(site: StoredSite) -> None:
    store_hours(site, epoch("2026-04-01T00:00"), MAY, 8.0)
    store_hours(site, MAY, JUNE, 10.0)
    report = read_report(site.database, SENSOR, "2026-05", JUNE + DAY)
    assert (report.volume_m3, report.previous_volume_m3, report.missing_hours) == (7440.0, 30 * 24 * 8.0, 0)
    assert (report.minimum_m3h, report.change_m3h, report.is_running) == (10.0, 2.0, False)
    assert report.monthly_minima == [("2026-04", 8.0), ("2026-05", 10.0)]
    balance = water_balance(report, 2.0, 400, 4.0, {"2026-05": 5952.0})
    assert (balance.leakage_m3_day, balance.revenue_ratio) == (192.0, 0.8)
    assert (balance.litres_per_connection_day, balance.m3_per_km_day) == (480.0, 48.0)
    assert months_with_readings(site.database, SENSOR) == ["2026-05", "2026-04"]


def test_without_facts_the_balance_has_only_the_leakage(site: StoredSite) -> None:
    store_hours(site, MAY, JUNE, 10.0)
    report = read_report(site.database, SENSOR, "2026-05", JUNE)
    balance = water_balance(report, 0.0, None, None, {"2026-04": 1.0})
    assert balance.leakage_m3_day == 240.0
    assert balance.revenue_ratio is balance.litres_per_connection_day is balance.m3_per_km_day is None


def test_a_running_month_ends_now(site: StoredSite) -> None:
    now = MAY + 10 * DAY + 30 * MINUTE
    store_hours(site, MAY, now, 10.0)
    report = read_report(site.database, SENSOR, "2026-05", now)
    assert (report.volume_m3, report.missing_hours, report.is_running) == (2400.0, 0, True)
    assert len(report.days) == 11


def test_a_month_without_readings(site: StoredSite) -> None:
    report = read_report(site.database, SENSOR, "2026-05", JUNE)
    assert (report.has_flow, report.minimum_m3h, report.gaps, report.losses) == (False, None, [], [])
    assert months_with_readings(site.database, SENSOR) == []
    with pytest.raises(ValueError, match=r"month|isoformat"):
        read_report(site.database, SENSOR, "2026-13", JUNE)


def test_losses_are_shared_between_months(site: StoredSite) -> None:
    store_hours(site, MAY, JUNE, 10.0)
    site.store_anomaly("leak", MAY - 5 * DAY, MAY + 15 * DAY, 4.0, 1920.0)
    site.store_anomaly("silence", MAY + DAY, MAY + 2 * DAY, None, None, "a2")
    report = read_report(site.database, SENSOR, "2026-05", JUNE)
    leak, silence = report.losses
    assert (leak.lost_m3, leak.saved_m3) == (1440.0, 4.0 * 24 * 16)
    assert silence.lost_m3 is silence.saved_m3 is None
    assert report.lost_m3 == 1440.0


def test_a_burst_that_opens_again_saves_nothing_before(site: StoredSite) -> None:
    store_hours(site, MAY, JUNE, 10.0)
    site.store_anomaly("burst", MAY, MAY + DAY, 4.0, 96.0)
    site.store_anomaly("burst", MAY + DAY + HOUR, MAY + 2 * DAY, 3.0, 69.0, "a2")
    first, second = read_report(site.database, SENSOR, "2026-05", JUNE).losses
    assert (first.saved_m3, second.saved_m3) == (4.0, 3.0 * 24 * 29)


def test_gaps_by_cause(site: StoredSite) -> None:
    minutes = [(MAY + index * MINUTE, 10.0, 4.0 if index >= 3 else None) for index in range(50)]
    site.store(minutes[:40] + [(at, 2000.0, 4.0) for at, *_ in minutes[40:45]])
    site.store_doubted([(at, 10.0, 4.0) for at, *_ in minutes[45:47]])
    flow_rate, pressure = read_gaps(site.database, SENSOR, MAY, MAY + HOUR)
    assert (flow_rate.expected, flow_rate.usable, flow_rate.not_received) == (60, 40, 13)
    assert (flow_rate.out_of_range, flow_rate.doubted, flow_rate.without_value) == (5, 2, 0)
    assert (pressure.usable, pressure.without_value, pressure.doubted, pressure.not_received) == (42, 3, 2, 13)
    assert flow_rate.missing_share == pytest.approx(1 / 3)


def test_gaps_of_a_slow_sensor(site: StoredSite) -> None:
    """Its cadence is that of its values until the detector states one."""
    store_hours(site, MAY, MAY + DAY, 10.0)
    gaps, _ = read_gaps(site.database, SENSOR, MAY, MAY + 2 * DAY)
    assert (gaps.interval, gaps.expected, gaps.usable, gaps.missing) == (15, 192, 96, 96)
    site.store_rows("SENSOR_STATE_TB", [("site1", SENSOR, "detector", MAY, 1, MAY, 30, 90, None, None, "", "")])
    gaps, _ = read_gaps(site.database, SENSOR, MAY, MAY + 2 * DAY)
    assert (gaps.interval, gaps.expected) == (30, 96)


def test_csv_of_minutes_can_be_imported(site: StoredSite, tmp_path: Path) -> None:
    site.store([(MAY + index * MINUTE, 10.5, None if index == 1 else 4.25) for index in range(4)])
    span = read_span(site.database, SENSOR, MAY, MAY + HOUR)
    file = tmp_path / "shown.csv"
    file.write_text(csv_text(span, SENSOR, ([], []), BERLIN), encoding="utf-8", newline="")
    assert file.read_bytes().startswith(b"\xef\xbb\xbftime,sensor,")
    settings = Settings(site=Site(timezone="Europe/Berlin", country="DE"))
    rows = [row for row in by_minute(open_readings(file, settings, (), "", "")) if isinstance(row, Measurement)]
    assert [(row.sensor, row.flow_rate, row.pressure) for row in rows] == [
        (SENSOR, 10.5, None if index == 1 else 4.25) for index in range(4)
    ]


def test_csv_of_buckets_and_forecast(site: StoredSite) -> None:
    store_hours(site, MAY, MAY + 5 * DAY, 10.0)
    span = read_span(site.database, SENSOR, MAY, MAY + 5 * DAY)
    text = csv_text(span, SENSOR, ([ForecastHour(MAY + 6 * DAY, 1.0, 2.0, 3.0)], []), BERLIN)
    header, *rows = csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK)))
    assert {len(row) for row in rows} == {len(header)} == {15}
    assert rows[0][:6] == ["2026-05-01T00:00+02:00", "10", SENSOR, "10", "10", "10"]
    assert rows[-1] == ["2026-05-07T00:00+02:00", "60", SENSOR, *[""] * 6, "1", "2", "3", "", "", ""]
