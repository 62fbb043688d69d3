"""Event time: the minutes of a recording close one by one, and a clock jump closes none."""

from __future__ import annotations

from datetime import datetime

from services.ingest.sources.line_reader import Measurement
from shared.runtime.replay import group_by_minute
from tests.unit.factories import minute_at


def measurement(minute: float, sensor: str = "001") -> Measurement:
    return Measurement(sensor, minute_at(minute), 1.0, None)


def closed(*minutes: float) -> list[tuple[int, datetime | None]]:
    """Return (number of items, minute that closes after them)."""
    return [(len(items), minute) for items, minute in group_by_minute([measurement(minute) for minute in minutes])]


def test_minute_closes_after_all_its_readings() -> None:
    assert closed(0, 0, 1) == [(2, minute_at(0)), (1, minute_at(1))]


def test_minutes_of_a_gap_close() -> None:
    assert closed(0, 3) == [(1, minute_at(0)), (0, minute_at(1)), (0, minute_at(2)), (1, minute_at(3))]


def test_late_reading_stays_in_the_present_minute() -> None:
    assert closed(5, 6, 3, 7) == [(1, minute_at(5)), (2, minute_at(6)), (1, minute_at(7))]


def test_clock_jump_closes_no_minutes() -> None:
    assert closed(0, 5000, 1, 2) == [(2, minute_at(0)), (1, minute_at(1)), (1, minute_at(2))]


def test_real_gap_closes_its_minutes() -> None:
    assert len(closed(0, *range(5000, 5006))) == 5006


def test_last_readings_after_a_long_gap_close_nothing() -> None:
    assert closed(0, 5000, 5001, 5002) == [(4, minute_at(0))]


def test_empty_years_are_skipped_and_reported() -> None:
    skipped: list[tuple[datetime, datetime]] = []
    items = [measurement(minute) for minute in (0, *range(13_000_000, 13_000_010))]
    groups = list(group_by_minute(items, lambda start, stop: skipped.append((start, stop))))
    assert skipped == [(minute_at(8 * 1440), minute_at(12_999_999))]
    assert [minute for _, minute in groups[8 * 1440 :]] == [minute_at(m) for m in range(12_999_999, 13_000_010)]
    assert sum(len(group) for group, _ in groups) == 11


def test_empty_recording_closes_nothing() -> None:
    assert closed() == [(0, None)]
