"""The simulated site is reproducible, seamless and realistic."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.sources.registry import SOURCES, Source
from services.ingest.sources.simulator import Simulator, SimulatorSource, leakage_share
from shared.domain.local_time import hour_of_week, local_seconds, minute_of_day
from shared.domain.series import DAY, HOUR, MINUTE, Floats, Series
from shared.settings import Settings

SEOUL = ZoneInfo("Asia/Seoul")
SITE = Simulator(1, ("001", "002"), 60.0, 4.0, SEOUL)
START = int(datetime(2025, 1, 1, tzinfo=SEOUL).timestamp())


@pytest.fixture(scope="module")
def year() -> Series:
    return SITE.history("001", START, START + 365 * DAY)


def by_hour(year: Series, values: Floats) -> Floats:
    """Return means by local hour of the day."""
    hour = minute_of_day(local_seconds(year.at, SEOUL)) // 60
    means: Floats = np.bincount(hour, values) / np.bincount(hour)
    return means


@given(st.integers(0, 365 * 1440 - 1))
def test_single_minute_equals_that_of_the_year(year: Series, minute: int) -> None:
    measurement = SITE.minute("001", int(year.at[minute]))
    assert (measurement.flow_rate, measurement.pressure) == (year.flow_rate[minute], year.pressure[minute])
    assert measurement.at.timestamp() == year.at[minute]
    assert measurement.at.utcoffset() == timedelta(hours=9)


def test_two_halves_equal_the_whole(year: Series) -> None:
    halves = [SITE.history("001", start, start + HOUR) for start in (START, START + HOUR)]
    for name in ("at", "flow_rate", "pressure"):
        joined = np.concatenate([getattr(half, name) for half in halves])
        np.testing.assert_array_equal(joined, getattr(year, name)[:120])


def test_seeds_and_sensors_differ(year: Series) -> None:
    others = (
        SITE.history("002", START, START + DAY),
        Simulator(2, ("001",), 60.0, 4.0, SEOUL).history("001", START, START + DAY),
    )
    for other in others:
        assert np.mean(other.flow_rate == year.flow_rate[:1440]) < 0.05


@pytest.mark.parametrize(("flow", "pressure"), [(60.0, 4.0), (3.0, 2.5), (900.0, 6.0)])
def test_means_match_the_settings(flow: float, pressure: float) -> None:
    year = Simulator(7, ("001",), flow, pressure, SEOUL).history("001", START, START + 365 * DAY)
    assert year.flow_rate.mean() == pytest.approx(flow, rel=0.05)
    assert year.pressure.mean() == pytest.approx(pressure, rel=0.03)
    assert year.flow_rate.min() > 0
    assert year.pressure.min() > 0


def test_day_has_a_low_night_and_two_peaks(year: Series) -> None:
    hours = by_hour(year, year.flow_rate)
    assert hours[3] < 0.3 * hours[7]
    assert hours[7] > hours[14] < hours[18]


def test_weekend_starts_later(year: Series) -> None:
    weekend = hour_of_week(local_seconds(year.at, SEOUL)) >= 120
    hour = minute_of_day(local_seconds(year.at, SEOUL)) // 60
    at_seven = [year.flow_rate[(weekend == free) & (hour == 7)].mean() for free in (True, False)]
    assert at_seven[0] < 0.8 * at_seven[1]


def test_summer_demand_exceeds_winter_demand(year: Series) -> None:
    days = year.flow_rate.reshape(365, 1440).mean(axis=1)
    assert days[182:243].mean() > 1.1 * days[:59].mean()


def test_pressure_falls_when_flow_rises(year: Series) -> None:
    assert np.corrcoef(year.flow_rate, year.pressure)[0, 1] < -0.8
    assert by_hour(year, year.pressure).argmax() in (1, 2, 3, 4)


def test_demand_varies_slowly_and_minutes_are_noisy(year: Series) -> None:
    usual = np.tile(year.flow_rate.reshape(365, 1440).mean(axis=0), 365)
    rest = year.flow_rate / usual - 1
    assert np.corrcoef(rest[:-30], rest[30:])[0, 1] > 0.5
    assert np.mean(np.diff(year.flow_rate) == 0) < 0.05


def test_leaks_occur_and_are_repaired() -> None:
    at = np.arange(START, START + 3 * 365 * DAY, 10 * MINUTE, dtype=np.int64)
    leaking = leakage_share(at, 5) > 0
    openings = np.flatnonzero(np.diff(leaking.astype(int)) == 1)
    repairs = np.flatnonzero(np.diff(leaking.astype(int)) == -1)
    assert 11 <= len(openings) <= 13
    days = (repairs[repairs > openings[0]][: len(openings)] - openings[: len(repairs)]) / 144
    assert days.min() >= 1.9
    assert days.max() <= 14.1


def test_source_yields_each_minute_after_it_closed() -> None:
    source = SimulatorSource(SITE)
    now = datetime(2026, 1, 5, 10, 4, 30, tzinfo=SEOUL)
    assert list(source.poll(now, 1000)) == []
    assert list(source.poll(now + timedelta(seconds=29), 1000)) == []
    got = list(source.poll(now + timedelta(seconds=30), 1000))
    assert [(item.sensor, f"{item.at:%H:%M}") for item in got] == [("001", "10:04"), ("002", "10:04")]
    assert list(source.poll(now + timedelta(seconds=31), 1000)) == []
    assert [f"{item.at:%H:%M}" for item in source.poll(now + timedelta(minutes=3), 1000)] == ["10:05"] * 2 + [
        "10:06"
    ] * 2


def test_missed_hour_is_caught_up_and_a_longer_jump_restarts_at_the_present() -> None:
    source = SimulatorSource(SITE)
    now = datetime(2026, 1, 5, 10, 0, tzinfo=SEOUL)
    assert list(source.poll(now, 10)) == []
    steps = [list(source.poll(now + timedelta(hours=1), 10)) for _ in range(3)]
    assert [len(step) for step in steps] == [10, 10, 10]
    assert f"{steps[2][-1].at:%m-%d %H:%M}" == "01-05 10:14"
    for days in (400, -4, 20_000):
        assert list(source.poll(now + timedelta(days=days), 10)) == []
        assert len(list(source.poll(now + timedelta(days=days, minutes=1), 10))) == 2


def test_no_minute_is_missing_at_dst_changes() -> None:
    source = SimulatorSource(Simulator(1, ("001",), 60.0, 4.0, ZoneInfo("Europe/Berlin")))
    begin = datetime(2016, 10, 30, 0, tzinfo=ZoneInfo("UTC"))
    for minute in range(181):
        now = (begin + timedelta(minutes=minute)).astimezone(ZoneInfo("Europe/Berlin"))
        assert [item.at for item in source.poll(now, 10)] == ([begin + timedelta(minutes=minute - 1)] if minute else [])


def test_site_toml_selects_the_source() -> None:
    source: Source = SOURCES["simulator"](Settings(), ())
    assert isinstance(source, SimulatorSource)
    source.commit()
    assert set(SOURCES) == {"simulator", "file"}
