"""Simulator of a district's inlet: a seeded year of flow and pressure, with labelled events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.detection.demand import (
    DemandProfile,
    expected_demand,
    holiday_spans,
    poisson_pulses,
    slow_noise,
    temperature,
)
from bench.detection.events import EVENT_SPECS, Event, EventSpec, plan_events
from bench.detection.faults import LoggerLines, inject_faults
from bench.detection.hydraulics import InletHydraulics, flows_and_pressures
from bench.detection.meters import Meters, measure
from shared.domain.series import DAY, MINUTE, Floats, Ints

Grade = Literal["typical", "hard"]
GRADES: tuple[Grade, ...] = ("typical", "hard")
DISTRICT_KINDS = ("homes", "flats", "mixed", "industry", "tourism", "rural", "night_users")
START_DAYS = tuple(range(19_723 + 1, 19_723 + 1 + 2 * 365, 30))
"""Days since 1970 on which a record may start: each month of 2024 and 2025."""


@dataclass(frozen=True)
class Site:
    """A district drawn from a seed; flow in m³/h, pressure in bar, before the meters' units."""

    seed: int
    grade: Grade
    mean_flow: float
    first_minute_at: int
    """Epoch seconds of the first minute, local midnight."""
    demand_profile: DemandProfile
    hydraulics: InletHydraulics
    meters: Meters


@dataclass(frozen=True)
class Record:
    """A site's readings and their ground truth."""

    site: Site
    at: Ints
    """(n,) epoch seconds of every minute."""
    flow: Floats
    """(n,) as shown by the meter, before faults of lines; NaN for missing values."""
    pressure: Floats
    expected: Floats
    """(n,) expected flow without the random part and events, in the meter's unit."""
    lines: LoggerLines
    """What the logger wrote, in its order."""
    events: list[Event]


def make_site(seed: int, grade: Grade) -> Site:
    """Draw the district of a seed; the two grades of one seed are different districts."""
    rng = np.random.default_rng((seed, GRADES.index(grade), 1))
    hard = grade == "hard"
    shape = str(rng.choice(DISTRICT_KINDS))
    lower, upper = (3.0, 15.0) if shape == "rural" else (8.0, 300.0)
    mean = float(np.exp(rng.uniform(np.log(lower), np.log(upper))))
    minute_std = (rng.uniform(0.10, 0.25) if hard else rng.uniform(0.03, 0.09)) * (1.3 if shape == "rural" else 1.0)
    demand_profile = DemandProfile(
        shape=shape,
        background=rng.uniform(0.05, 0.25) if hard else rng.uniform(0.10, 0.35),
        minute_std=float(minute_std * min(1.5, (60 / mean) ** 0.15)),
        hourly_std=rng.uniform(0.07, 0.14) if hard else rng.uniform(0.02, 0.06),
        daily_std=rng.uniform(0.05, 0.10) if hard else rng.uniform(0.015, 0.05),
        shift_hours_std=rng.uniform(0.2, 0.5) if hard else rng.uniform(0.02, 0.15),
        demand_per_degree=rng.uniform(0.0, 0.02),
        growth_per_year=rng.uniform(-0.08, 0.08),
        family_holiday_level=rng.uniform(0.7, 1.0)
        if shape in ("flats", "mixed", "industry")
        else rng.uniform(0.9, 1.35),
    )
    return Site(
        seed=seed,
        grade=grade,
        mean_flow=mean,
        first_minute_at=int(rng.choice(START_DAYS)) * DAY - 9 * 3600,
        demand_profile=demand_profile,
        hydraulics=InletHydraulics.random(rng, hard),
        meters=Meters.random(rng, hard, mean),
    )


def make_record(seed: int, grade: Grade, days: int = 365, specs: Mapping[str, EventSpec] = EVENT_SPECS) -> Record:
    """Simulate a record of so many days with the specified events; deterministic."""
    site = make_site(seed, grade)
    rng = np.random.default_rng((seed, GRADES.index(grade), 2))
    at = site.first_minute_at + np.arange(days * 1440, dtype=np.int64) * MINUTE
    events = plan_events(rng, site.first_minute_at, days, site.grade == "hard", specs)
    heat = _heat_demand(rng, site, at, events)
    shifts = rng.normal(0.0, site.demand_profile.shift_hours_std, days)
    demand_mean = expected_demand(site.demand_profile, at, heat, np.clip(shifts, -1.5, 1.5))
    demand_mean *= _permanent_changes(at, events) * (1 - site.demand_profile.background)
    noise = np.exp(
        np.clip(slow_noise(rng, len(at), site.demand_profile.hourly_std, site.demand_profile.daily_std), -0.7, 0.7)
    )
    demand = poisson_pulses(rng, demand_mean * noise, site.demand_profile.minute_std)
    flow, pressure, background = flows_and_pressures(
        rng, site.hydraulics, site.demand_profile.background, at, demand, events
    )
    meters = site.meters
    readings = measure(rng, meters, flow * site.mean_flow, pressure)
    lines, flow, pressure = inject_faults(rng, at, *readings, events, meters)
    holidays = [Event("holiday", start, stop) for start, stop, _ in holiday_spans(int(at[0]), int(at[-1]))]
    expected_flow = (demand_mean + background) * site.mean_flow * meters.flow_unit
    return Record(
        site, at, flow, pressure, expected_flow, lines, sorted(events + holidays, key=lambda event: event.start)
    )


def _heat_demand(rng: np.random.Generator, site: Site, at: Ints, events: list[Event]) -> Floats:
    """Return the demand added by warm weather and labelled heat waves, as a share of the expected demand."""
    heat = site.demand_profile.demand_per_degree * np.maximum(temperature(rng, at) - 22.0, 0.0)
    for event in (event for event in events if event.kind == "heat"):
        ramp = np.minimum((at - event.start) / DAY, (event.stop - at) / DAY)
        heat = heat + event.size * np.clip(ramp, 0.0, 1.0)
    return heat


def _permanent_changes(at: Ints, events: list[Event]) -> Floats:
    """Return the factor on the demand from big users and re-zoning, which stay for good."""
    factor = np.ones(len(at))
    for event in events:
        if event.kind == "rezoning":
            factor[at >= event.start] *= 1 + event.size
        elif event.kind == "big_user":
            local = (at + 9 * 3600) % DAY / 3600
            open_hours = (local > 8) & (local < 19) & (at >= event.start)
            factor[open_hours] *= 1 + event.size
    return factor
