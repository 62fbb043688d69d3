"""Minimum night flow, repairs and daily volume."""

from __future__ import annotations

from datetime import date

import pytest

from services.dashboard.queries.nights import read_nights, read_repaired
from services.dashboard.queries.site_time import DAY, HOUR, MINUTE
from services.dashboard.queries.volumes import read_volumes, total_volume
from tests.unit.services.dashboard.stored_site import SENSOR, StoredSite, epoch

FIVE_MINUTES = 5 * MINUTE


def store_flow(site: StoredSite, start: int, stop: int, flow_rate: float) -> None:
    """Store the same flow every five minutes."""
    site.store([(at, flow_rate, 4.0) for at in range(start, stop, FIVE_MINUTES)])


def test_a_night_is_the_lowest_hour_from_two_to_five(site: StoredSite) -> None:
    day = epoch("2026-05-02T00:00")
    store_flow(site, day, day + 5 * HOUR, 20.0)
    store_flow(site, day + 5 * HOUR, day + 6 * HOUR, 1.0)
    site.store([(day + 3 * HOUR + index * FIVE_MINUTES + MINUTE, 8.0, None) for index in range(12)])
    (night,) = read_nights(site.database, SENSOR, day, day + DAY)
    assert (night.day, night.minimum_m3h, night.at) == (date(2026, 5, 2), 14.0, day + 3 * HOUR + HOUR // 2)
    assert night.usual_m3h is night.excess_m3h is night.criterion_m3h is None


def test_the_result_of_the_detector_comes_first(site: StoredSite) -> None:
    day = epoch("2026-05-02T00:00")
    store_flow(site, day, day + 5 * HOUR, 20.0)
    row = ("site1", SENSOR, day, day + 2 * HOUR, day + 4 * HOUR, 9.0, 6.5, 2.0, 1.5, 1)
    site.store_rows("NIGHT_TB", [row])
    (night,) = read_nights(site.database, SENSOR, day, day + DAY)
    assert (night.minimum_m3h, night.excess_m3h, night.criterion_m3h, night.leak_m3h) == (9.0, 2.5, 8.5, 1.5)
    assert (night.at, night.flag) == (day + 3 * HOUR, 1)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-02", 24)])
def test_nights_and_volumes_where_the_clock_changes(site: StoredSite, day: str, hours: int) -> None:
    start = epoch(f"{day}T00:00")
    store_flow(site, start, start + hours * HOUR, 10.0)
    assert [night.minimum_m3h for night in read_nights(site.database, SENSOR, start, start + hours * HOUR)] == [10.0]
    (volume,) = read_volumes(site.database, SENSOR, start, start + hours * HOUR)
    assert (volume.volume_m3, volume.hours, volume.missing_hours) == (10.0 * hours, hours, 0)


def test_a_night_needs_two_of_its_hours(site: StoredSite) -> None:
    day = epoch("2026-05-02T00:00")
    store_flow(site, day + 4 * HOUR, day + 5 * HOUR, 20.0)
    assert read_nights(site.database, SENSOR, day, day + DAY) == []


def test_missing_hours_are_told_and_not_guessed(site: StoredSite) -> None:
    day = epoch("2026-05-02T00:00")
    store_flow(site, day, day + 10 * HOUR, 10.0)
    store_flow(site, day + 14 * HOUR, day + 31 * HOUR + HOUR // 2, 10.0)
    volumes = read_volumes(site.database, SENSOR, day, day + 31 * HOUR + HOUR // 2)
    assert [(item.volume_m3, item.missing_hours) for item in volumes] == [(200.0, 4), (70.0, 0)]
    assert total_volume(volumes) == 270.0


def test_nights_before_and_after_a_repair(site: StoredSite) -> None:
    opened, cleared = epoch("2026-05-20T12:00"), epoch("2026-05-25T12:00")
    store_flow(site, epoch("2026-05-01T00:00"), opened, 5.0)
    store_flow(site, opened, cleared, 9.0)
    store_flow(site, cleared, epoch("2026-06-15T00:00"), 5.5)
    site.store_anomaly("leak", opened, cleared, 4.0, 480.0)
    site.store_anomaly("step", opened, cleared, 4.0, None, "a2")
    (repair,) = read_repaired(site.database, SENSOR, opened, cleared + DAY)
    assert (repair.before_m3h, repair.during_m3h, repair.after_m3h) == (5.0, 9.0, 5.5)
    assert (repair.before_nights, repair.after_nights) == (14, 14)
    assert (repair.saved_m3h, repair.remaining_m3h) == (3.5, 0.5)
    assert read_repaired(site.database, SENSOR, cleared + DAY, cleared + 2 * DAY) == []


def test_few_nights_after_a_repair_give_no_mean(site: StoredSite) -> None:
    opened, cleared = epoch("2026-05-20T12:00"), epoch("2026-05-25T12:00")
    store_flow(site, epoch("2026-05-01T00:00"), epoch("2026-05-27T12:00"), 5.0)
    site.store_anomaly("burst", opened, cleared, 4.0)
    (repair,) = read_repaired(site.database, SENSOR, opened, cleared + DAY)
    assert (repair.after_nights, repair.after_m3h, repair.saved_m3h, repair.remaining_m3h) == (2, None, None, None)
