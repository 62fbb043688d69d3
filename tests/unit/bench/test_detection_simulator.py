"""Simulated district: deterministic, and its labels match its readings."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.detection.demand import poisson_pulses
from bench.detection.events import FAULTS, LEARNING_DAYS, LEGITIMATE, LOSSES, Event
from bench.detection.hydraulics import flows_and_pressures
from bench.detection.simulator import DISTRICT_KINDS, GRADES, Grade, Record, make_record, make_site
from services.ingest.sources.parser import Measurement
from services.ingest.tables.documented import read_measurements
from shared.domain.series import DAY, MINUTE, Floats
from shared.settings import load_settings

SEEDS = range(4)


@pytest.fixture(scope="module", params=GRADES)
def records(request: pytest.FixtureRequest) -> list[Record]:
    grade: Grade = request.param
    return [make_record(seed, grade) for seed in SEEDS]


def test_record_depends_on_seed_only() -> None:
    first, repeated, other = (make_record(seed, "typical", 120) for seed in (5, 5, 6))
    assert np.array_equal(first.lines.flow, repeated.lines.flow, equal_nan=True)
    assert first.events == repeated.events
    assert first.site != other.site


def test_sites_cover_all_kinds_and_sizes() -> None:
    sites = [make_site(seed, grade) for seed in range(60) for grade in GRADES]
    assert {site.demand_profile.shape for site in sites} == set(DISTRICT_KINDS)
    assert min(site.mean_flow for site in sites) < 10
    assert max(site.mean_flow for site in sites) > 200
    assert len({site.meters.flow_unit for site in sites}) == len({site.meters.pressure_unit for site in sites}) == 3


def test_mean_flow_matches_site(records: list[Record]) -> None:
    for record in records:
        expected = _outside(record, ("rezoning", *FAULTS))
        mean = np.nanmedian(record.flow[expected] / record.expected[expected])
        assert mean == pytest.approx(1.0, abs=0.2)
        unit = record.site.mean_flow * record.site.meters.flow_unit
        assert np.nanmean(record.expected) == pytest.approx(unit, rel=0.4)


def test_events_are_ordered_and_do_not_overlap(records: list[Record]) -> None:
    for record in records:
        planned = [event for event in record.events if event.kind != "holiday"]
        assert all(earlier.settled_at <= next_event.start for earlier, next_event in pairwise(planned))
        assert sum(event.start < record.at[0] + LEARNING_DAYS * DAY for event in planned) <= 1
        assert all(record.at[0] <= event.start < event.stop <= record.at[-1] for event in planned)


def test_losses_and_faults_occur(records: list[Record]) -> None:
    happened = {event.kind for record in records for event in record.events}
    assert happened >= {*LOSSES, *FAULTS, *LEGITIMATE[:3], "holiday"}


def test_burst_adds_labelled_flow_and_lowers_pressure() -> None:
    at = np.arange(3 * 1440, dtype=np.int64) * MINUTE
    burst = Event("burst", DAY, 2 * DAY, 0.2)
    pipes = replace(make_site(1, "typical").hydraulics, source="constant", loss_share=0.1)
    flow, pressure, _ = flows_and_pressures(np.random.default_rng(1), pipes, 0.2, at, np.full(len(at), 0.8), [burst])
    day = at // DAY
    assert flow[day == 1].mean() - flow[day == 0].mean() == pytest.approx(0.2, rel=0.2)
    assert flow[day == 2].mean() == pytest.approx(flow[day == 0].mean(), rel=0.01)
    assert pressure[day == 1].mean() < pressure[day == 0].mean() - 0.02 * pipes.static_pressure


def test_pressure_falls_when_flow_rises(records: list[Record]) -> None:
    for record in records:
        is_event_free = _outside(record, (*FAULTS, "rezoning", "setting"))[: LEARNING_DAYS * 1440]
        flow = record.flow[: len(is_event_free)][is_event_free]
        pressure = record.pressure[: len(is_event_free)][is_event_free]
        is_known = ~(np.isnan(flow) | np.isnan(pressure))
        by_hour = (record.at[: len(is_event_free)][is_event_free][is_known] // 3600) % 24
        means = [
            (flow[is_known][by_hour == hour].mean(), pressure[is_known][by_hour == hour].mean()) for hour in range(24)
        ]
        if record.site.hydraulics.source == "constant":
            assert np.corrcoef(np.array(means).T)[0, 1] < -0.5


def test_minute_variance_is_proportional_to_mean() -> None:
    rng = np.random.default_rng(3)
    lower, upper = (poisson_pulses(rng, np.full(20_000, level), 0.1) for level in (0.5, 2.0))
    assert np.mean(upper) == pytest.approx(2.0, rel=0.02)
    assert np.std(upper) == pytest.approx(0.1 * np.sqrt(2.0), rel=0.15)
    assert np.var(upper) / np.var(lower) == pytest.approx(4.0, rel=0.25)


def test_value_faults_are_in_readings(records: list[Record]) -> None:
    for record in records:
        for event in record.events:
            for name, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
                if event.channel in (name, "both") and event.kind in ("stuck", "dropout"):
                    inside = values[_part(record, event)]
                    assert np.isnan(inside).all() if event.kind == "dropout" else len(np.unique(inside)) == 1


def test_clock_and_line_faults_are_in_lines(records: list[Record]) -> None:
    for record in records:
        for event in (event for event in record.events if event.kind in ("silence", "clock_jump", "duplicates")):
            inside = (record.lines.at >= event.start) & (record.lines.at < event.stop)
            minutes = (event.stop - event.start) // MINUTE
            if event.kind == "duplicates":
                assert inside.sum() == 2 * minutes
            else:
                assert inside.sum() < minutes
        late = [event for event in record.events if event.kind in ("disorder", "clock_jump")]
        assert (np.diff(record.lines.at) < 0).any() == bool(late)


def test_ingest_reads_written_lines(tmp_path: Path) -> None:
    record = make_record(1, "hard", 110)
    record.lines.write(tmp_path / "record.csv")
    read = list(read_measurements(tmp_path / "record.csv", load_settings().zone))
    assert len(read) == len(record.lines.at)
    assert all(isinstance(reading, Measurement) for reading in read)
    first = read[0]
    assert isinstance(first, Measurement)
    assert first.at.timestamp() == record.lines.at[0]
    assert first.at.hour == first.at.minute == 0


def _part(record: Record, event: Event) -> slice:
    return slice(*np.searchsorted(record.at, (event.start, event.stop)))


def _outside(record: Record, kinds: tuple[str, ...]) -> Floats:
    outside = np.ones(len(record.at), dtype=bool)
    for event in record.events:
        if event.kind in kinds:
            outside[_part(record, event)] = False
    return outside
