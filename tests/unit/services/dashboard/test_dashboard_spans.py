"""Every bucket has the exact minimum and maximum of its minutes, whatever it was computed from."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dashboard.queries.site_time import DAY, HOUR, MINUTE
from services.dashboard.queries.spans import MAX_BUCKETS, Span, read_span, step_of
from tests.unit.services.dashboard.stored_site import SENSOR, Minute, StoredSite, epoch

SPRING, AUTUMN = epoch("2026-03-29T00:00"), epoch("2026-10-25T00:00")
"""Days on which the clock changes."""
FLOW_RATES = st.one_of(st.none(), st.floats(-5, 1100, allow_nan=False, width=32))
PRESSURES = st.one_of(st.none(), st.floats(-1, 31, allow_nan=False, width=32))
SPANS = st.sampled_from([HOUR, 3 * DAY, 3 * DAY + HOUR, 6 * DAY, 20 * DAY, 45 * DAY, 80 * DAY, 366 * DAY])
names = count()


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredSite]:
    stored = StoredSite(tmp_path_factory.mktemp("spans"))
    yield stored
    stored.close()


@st.composite
def readings(draw: st.DrawFn) -> tuple[int, int, list[Minute], list[Minute]]:
    """Return start and length of a span around a change of the clock, believed and doubted minutes."""
    length = draw(SPANS)
    start = draw(st.sampled_from([SPRING, AUTUMN])) - draw(st.integers(0, length // MINUTE)) * MINUTE
    offsets = draw(st.lists(st.integers(-HOUR // 30, length // MINUTE + 120), min_size=1, max_size=60, unique=True))
    runs = draw(st.lists(st.integers(0, length // MINUTE), max_size=3))
    minutes = sorted({*offsets, *(run + step for run in runs for step in range(8))})
    values = [(start + minute * MINUTE, draw(FLOW_RATES), draw(PRESSURES)) for minute in minutes]
    is_doubted = [draw(st.integers(0, 5)) == 0 for _ in values]
    believed = [value for value, doubted in zip(values, is_doubted, strict=True) if not doubted]
    return start, length, believed, [value for value, doubted in zip(values, is_doubted, strict=True) if doubted]


@given(readings())
@settings(max_examples=120)
def test_each_bucket_has_the_exact_extremes_of_its_minutes(
    shared_site: StoredSite, case: tuple[int, int, list[Minute], list[Minute]]
) -> None:
    start, length, believed, doubted = case
    sensor = f"s{next(names)}"
    shared_site.store(believed, sensor)
    shared_site.store_doubted(doubted, sensor)
    span = read_span(shared_site.database, sensor, start, start + length)
    assert span.start <= start < start + length <= span.stop
    assert (span.stop - span.start) % span.step == 0
    assert (span.stop - span.start) / span.step <= (3 * 1440 if span.step == MINUTE else MAX_BUCKETS + 2)
    assert rounded(span) == expected_buckets(span, believed)


def expected_buckets(span: Span, minutes: list[Minute]) -> dict[int, list[float | None]]:
    """Return minimum and maximum of each channel by start of the bucket, computed minute by minute."""
    groups: dict[int, list[Minute]] = {}
    for minute in minutes:
        if span.start <= minute[0] < span.stop:
            groups.setdefault(minute[0] - (minute[0] - span.start) % span.step, []).append(minute)
    return {start: extremes(group) for start, group in groups.items()}


def extremes(group: list[Minute]) -> list[float | None]:
    flows = [flow for _, flow, _ in group if flow is not None and 0 <= flow <= 1000]
    pressures = [pressure for *_, pressure in group if pressure is not None and 0 <= pressure <= 30]
    return [
        min(flows, default=None),
        max(flows, default=None),
        min(pressures, default=None),
        max(pressures, default=None),
    ]


def rounded(span: Span) -> dict[int, list[float | None]]:
    return {at: [low, high, low_bar, high_bar] for at, low, _, high, low_bar, _, high_bar in span.buckets}


def test_three_days_or_less_are_the_minutes_themselves(site: StoredSite) -> None:
    start = epoch("2026-05-01T00:00")
    minutes = [(start + index * MINUTE, 10.0 + index % 7, None) for index in range(4320)]
    site.store(minutes)
    span = read_span(site.database, SENSOR, start, start + 3 * DAY)
    assert span.step == MINUTE
    assert [(at, mean) for at, _, mean, *_ in span.buckets] == [(at, flow) for at, flow, _ in minutes]


def test_a_running_hour_counts_in_a_long_span(site: StoredSite) -> None:
    now = epoch("2026-05-01T12:05")
    site.store([(now - 9 * MINUTE, 5.0, 3.0), (now, 99.0, 2.0)])
    span = read_span(site.database, SENSOR, now - 365 * DAY, now + MINUTE)
    assert span.step == 8 * HOUR
    assert rounded(span)[span.buckets[-1][0]] == [5.0, 99.0, 2.0, 3.0]


def test_the_mean_of_hours_is_weighted_with_their_minutes(site: StoredSite) -> None:
    start = epoch("2026-05-01T00:00")
    site.store([(start, 10.0, None), *((start + HOUR + index * MINUTE, 20.0, None) for index in range(3))])
    span = read_span(site.database, SENSOR, start - 200 * DAY, start + DAY)
    assert [bucket[1:4] for bucket in span.buckets] == [(10.0, 17.5, 20.0)]


def test_days_whose_minutes_are_deleted_show_their_hours(site: StoredSite) -> None:
    start = epoch("2026-05-01T00:00")
    site.store([(start + index * MINUTE, float(index % 60), 3.0) for index in range(2 * 1440)])
    with sqlite3.connect(site.path) as database:
        database.execute("DELETE FROM REAL_VAL_TB WHERE at < ?", (start + DAY,))
    span = read_span(site.database, SENSOR, start, start + 2 * DAY)
    assert span.step == HOUR
    assert [bucket[1:4] for bucket in span.buckets] == [(0.0, 29.5, 59.0)] * 48
    assert read_span(site.database, SENSOR, start + DAY, start + 2 * DAY).step == MINUTE


def test_buckets_are_few_enough() -> None:
    for days in range(4, 4000):
        assert days * DAY / step_of(days * DAY) <= MAX_BUCKETS


def test_a_span_has_a_length(site: StoredSite) -> None:
    for length in (0, -60, 12 * 366 * DAY):
        with pytest.raises(ValueError, match="longer than a minute"):
            read_span(site.database, SENSOR, SPRING, SPRING + length)


def test_no_database_gives_no_buckets(tmp_path: Path, site: StoredSite) -> None:
    site.database._path = tmp_path / "none.db"
    assert read_span(site.database, SENSOR, SPRING, SPRING + DAY).buckets == []
