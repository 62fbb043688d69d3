"""A seeded year of a district's inlet, flow and pressure, with what happened in it: the bench's own truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.detection.demand import Habits, draws, expected, holiday_spans, temperature, wandering
from bench.detection.events import WISHES, Event, Wish, plan
from bench.detection.faults import Lines, spoil
from bench.detection.meters import Meters, measure
from bench.detection.pipes import Pipes, flows_and_pressures
from shared.domain.series import DAY, MINUTE, Floats, Ints

Grade = Literal["typical", "hard"]
GRADES: tuple[Grade, ...] = ("typical", "hard")
KINDS = ("homes", "flats", "mixed", "industry", "tourism", "rural", "night_users")
STARTS = tuple(range(19_723 + 1, 19_723 + 1 + 2 * 365, 30))
"""Days since 1970 on which a record may start: each month of 2024 and 2025."""


@dataclass(frozen=True)
class Site:
    """What a seed makes of a district; flow in m³/h, pressure in bar, before the meters' units."""

    seed: int
    grade: Grade
    mean_flow: float
    first: int
    """Epoch seconds of the first minute, local midnight."""
    habits: Habits
    pipes: Pipes
    meters: Meters


@dataclass(frozen=True)
class Record:
    """A site's readings and what is true of them."""

    site: Site
    at: Ints
    """(n,) epoch seconds of every minute."""
    flow: Floats
    """(n,) as the meter showed it, before faults of lines; NaN where it gave no value."""
    pressure: Floats
    expected: Floats
    """(n,) the flow that one would expect who knew all but chance and events, in the meter's unit."""
    lines: Lines
    """What the logger wrote, in its order."""
    events: list[Event]


def make_site(seed: int, grade: Grade) -> Site:
    """The district of a seed. The two grades of one seed are different districts."""
    rng = np.random.default_rng((seed, GRADES.index(grade), 1))
    hard = grade == "hard"
    shape = str(rng.choice(KINDS))
    low, high = (3.0, 15.0) if shape == "rural" else (8.0, 300.0)
    mean = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    grain = (rng.uniform(0.10, 0.25) if hard else rng.uniform(0.03, 0.09)) * (1.3 if shape == "rural" else 1.0)
    habits = Habits(
        shape=shape,
        background=rng.uniform(0.05, 0.25) if hard else rng.uniform(0.10, 0.35),
        grain=float(grain * min(1.5, (60 / mean) ** 0.15)),
        hourly=rng.uniform(0.07, 0.14) if hard else rng.uniform(0.02, 0.06),
        daily=rng.uniform(0.05, 0.10) if hard else rng.uniform(0.015, 0.05),
        jitter=rng.uniform(0.2, 0.5) if hard else rng.uniform(0.02, 0.15),
        warmth=rng.uniform(0.0, 0.02),
        trend=rng.uniform(-0.08, 0.08),
        away=rng.uniform(0.7, 1.0) if shape in ("flats", "mixed", "industry") else rng.uniform(0.9, 1.35),
    )
    return Site(seed, grade, mean, int(rng.choice(STARTS)) * DAY - 9 * 3600, habits,
                Pipes.draw(rng, hard), Meters.draw(rng, hard, mean))  # fmt: skip


def make_record(seed: int, grade: Grade, days: int = 365, wishes: Mapping[str, Wish] = WISHES) -> Record:
    """A record of so many days, with the events that are wished for; the same for the same arguments."""
    site = make_site(seed, grade)
    rng = np.random.default_rng((seed, GRADES.index(grade), 2))
    at = site.first + np.arange(days * 1440, dtype=np.int64) * MINUTE
    events = plan(rng, site.first, days, site.grade == "hard", wishes)
    heat = _heat(rng, site, at, events)
    shifts = rng.normal(0.0, site.habits.jitter, days)
    usual = expected(site.habits, at, heat, np.clip(shifts, -1.5, 1.5))
    usual *= _lasting(at, events) * (1 - site.habits.background)
    swing = np.exp(np.clip(wandering(rng, len(at), site.habits.hourly, site.habits.daily), -0.7, 0.7))
    demand = draws(rng, usual * swing, site.habits.grain)
    flow, pressure, background = flows_and_pressures(rng, site.pipes, site.habits.background, at, demand, events)
    meters = site.meters
    shown = measure(rng, meters, flow * site.mean_flow, pressure)
    lines, flow, pressure = spoil(rng, at, *shown, events, meters)
    holidays = [Event("holiday", start, stop) for start, stop, _ in holiday_spans(int(at[0]), int(at[-1]))]
    likely = (usual + background) * site.mean_flow * meters.flow_unit
    return Record(site, at, flow, pressure, likely, lines, sorted(events + holidays, key=lambda event: event.start))


def _heat(rng: np.random.Generator, site: Site, at: Ints, events: list[Event]) -> Floats:
    """Demand added by warm weather and by labelled heat waves, in parts of the usual."""
    heat = site.habits.warmth * np.maximum(temperature(rng, at) - 22.0, 0.0)
    for event in (event for event in events if event.kind == "heat"):
        ramp = np.minimum((at - event.start) / DAY, (event.stop - at) / DAY)
        heat = heat + event.size * np.clip(ramp, 0.0, 1.0)
    return heat


def _lasting(at: Ints, events: list[Event]) -> Floats:
    """Factor on the demand from big users and re-zoning that stay for good."""
    factor = np.ones(len(at))
    for event in events:
        if event.kind == "rezoning":
            factor[at >= event.start] *= 1 + event.size
        elif event.kind == "big_user":
            local = (at + 9 * 3600) % DAY / 3600
            open_hours = (local > 8) & (local < 19) & (at >= event.start)
            factor[open_hours] *= 1 + event.size
    return factor
