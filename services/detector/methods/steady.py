"""What a night tells of losses: its minimum flow, and the part of the day's flow that is the same at all hours.

People sleep, and a leak adds the same m³/h at all hours. Of all sums of 24 hourly means that show a constant flow in
full, the one that varies least from day to day tells it best (generalized least squares; Aitken, 1936): calm hours
count most, and what the day has more of all demand is taken off them. More pressure lets more leak (FAVAD; May, 1994,
with the exponent 1 of mixed pipes): what it adds to the leakage that a site has anyway is no new leak.
"""

from __future__ import annotations

import numpy as np

from services.detector.memory import Mask, Past
from services.detector.methods.spreads import Learned
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

FIVE, TEN_PM = 5, 22
"""A day is looked at from 05:00 to 05:00; its night begins at 22:00."""
EVENING, MORNING = 12, 30
"""Ten-minute slots of a night before and after midnight."""
CALM_SLOTS = 18
"""Three hours: length of the site's own minimum window."""
LOOK_BACK = 28
FEWEST = 4
"""Days that a median needs."""
KNOWN_HOURS = 18
CUT = 3.5
"""Spreads at which an hour's mean is cut before it is learned from."""
OWN = 8
"""Days that the hours' own spreads weigh against what was seen of their going together."""
SWING = 0.1
"""Demand may swing by this part though it never did while weights were learned: heat and holidays come later."""
LEAKING = 0.5
"""Part of the lowest hour's flow that is taken for leakage, which does not swing with demand."""
MOST_PRESSURE = 1.5
"""Times the usual that pressure is taken for pressure; beyond, the meter is wrong."""
WEEKEND = {1: "saturday", 2: "sunday"}
"""Types of days; public holidays are Sundays."""


def night_flows(nights: Floats, first: int) -> Floats:
    """(n,) night minimum flows in m³/h: means of the calmer half of the calm hours; NaN with less than half known."""
    calm = np.sort(nights[:, first : first + CALM_SLOTS], axis=1)
    known = np.count_nonzero(calm == calm, axis=1)
    calmer = (known + 1) // 2
    sums = np.where(np.arange(CALM_SLOTS) < calmer[:, None], calm, 0.0).sum(axis=1)
    return np.where(2 * known >= CALM_SLOTS, sums / np.maximum(calmer, 1), np.nan)


def measures(tens: Floats, numbers: Ints, types: Ints, learned: Learned) -> Floats:
    """(3, n) m³/h: the constant part of the days up to 05:00, night minimum flow, and the mean from 05:00 to 22:00.

    tens: (n, 2, 144) ten-minute means of flow and pressure, days oldest first; numbers: their ordinals; types: which
    are alike. Weekends and holidays are made like other days, and leakage that of the usual pressure. NaN where too
    little is known.
    """
    flow = _at_usual_pressure(tens[:, 0], tens[:, 1], learned)
    days = _to_five(_hourly(flow) - _of_type(types, learned.profiles), numbers)
    known = ~np.isnan(days)
    constant = np.where(known, days, learned.profiles["hours"]) @ np.array(learned.profiles["weights"])
    first = int(learned.limits["calm_from"])
    flows = night_flows(_nights(flow, numbers), first)
    for kind, name in WEEKEND.items():
        flows[types == kind] -= learned.limits[name]
    unknown = np.isnan(flows) | (known.sum(axis=1) < KNOWN_HOURS)
    awake = TEN_PM - FIVE
    by_day = np.where(known, days, 0.0)[:, :awake].sum(axis=1) / np.maximum(known[:, :awake].sum(axis=1), 1)
    return np.where(unknown, np.nan, np.array([constant, flows, by_day]))


def learn(past: Past, pressure: Past) -> Learned | None:
    """Leakage, calm hours, what weekends have more, and the weights of the hours; None when too little is known."""
    leaking = _leaking(past, pressure)
    flow = _at_usual_pressure(past.tens, pressure.tens, leaking)
    hours, nights = _hourly(flow), _nights(flow, past.numbers)
    profiles = {name: _more(hours, past, kind) for kind, name in WEEKEND.items()}
    days = _to_five(hours - _of_type(past.types, profiles), past.numbers)
    usual = median(days[past.calm])
    first = _calm_hours(nights[past.calm])
    flows = night_flows(nights, first)[:, None]
    weights = _weights(days, usual, past.calm)
    if weights is None:
        return None
    limits = leaking.limits | {name: _more(flows, past, kind)[0] for kind, name in WEEKEND.items()}
    profiles |= leaking.profiles
    return Learned(limits | {"calm_from": float(first)}, profiles | {"hours": _curve(usual), "weights": weights})


def _leaking(past: Past, pressure: Past) -> Learned:
    """Leakage at the usual pressure, m³/h, and that pressure by hour, bar; 0 where it is unknown."""
    lowest = float(np.nan_to_num(median(_hourly(past.tens)[past.calm])).min())
    usual = np.nan_to_num(median(_hourly(pressure.tens)[pressure.calm]))
    return Learned({"leakage": float(f"{LEAKING * max(lowest, 0.0):.6g}")}, {"pressure": _curve(usual)})


def _at_usual_pressure(flow: Floats, pressure: Floats, learned: Learned) -> Floats:
    """(n, 144) flow without what more than the usual pressure adds to the leakage."""
    usual = np.repeat(np.array(learned.profiles["pressure"]), 6)
    times = np.divide(pressure, usual, out=np.ones(pressure.shape), where=usual > 0.0)
    more = np.clip(np.nan_to_num(times, nan=1.0), 1.0, MOST_PRESSURE) - 1.0
    found: Floats = flow - learned.limits["leakage"] * more
    return found


def _weights(days: Floats, usual: Floats, calm: Mask) -> tuple[float, ...] | None:
    """(24,) weights with the sum 1 whose sum of the hours varies least."""
    off = np.array([day - median(days[max(0, place - LOOK_BACK) : place]) for place, day in enumerate(days)])
    off = off[FEWEST:][calm[FEWEST:]]
    off = off[~np.isnan(off).any(axis=1)]
    if len(off) < FEWEST or not (spread := 1.4826 * np.median(np.abs(off - np.median(off, axis=0)), axis=0)).any():
        return None
    spread = np.maximum(spread, 0.3 * np.median(spread[spread > 0]))
    cut = np.clip(off / spread, -CUT, CUT)
    together = np.cov(cut, rowvar=False, bias=True)
    own = OWN / (OWN + len(off))
    together = (1 - own) * together + own * np.diag(np.maximum(np.diag(together), 0.01))
    swing = SWING * (usual - LEAKING * usual.min())
    weights = np.linalg.solve(together * np.outer(spread, spread) + np.outer(swing, swing), np.ones(len(usual)))
    return _curve(weights / weights.sum())


def _calm_hours(nights: Floats) -> int:
    """Slot (of 42) at which the three hours with the lowest flow begin, from (n, 42) nights."""
    usual = np.nan_to_num(median(nights), nan=np.inf)
    sums = [usual[first : first + CALM_SLOTS].sum() for first in range(EVENING + MORNING - CALM_SLOTS + 1)]
    return int(np.argmin(sums))


def _hourly(tens: Floats) -> Floats:
    """(n, 24) means of (n, 144); NaN where less than half is known."""
    parts = tens.reshape(len(tens), 24, 6)
    known = ~np.isnan(parts)
    count = known.sum(axis=2)
    return np.where(count >= 3, np.where(known, parts, 0.0).sum(axis=2) / np.maximum(count, 1), np.nan)


def _to_five(hours: Floats, numbers: Ints) -> Floats:
    """(n, 24) hours of the day that ends at 05:00, from those of calendar days."""
    return np.concatenate([_day_before(hours, numbers)[:, FIVE:], hours[:, :FIVE]], axis=1)


def _nights(tens: Floats, numbers: Ints) -> Floats:
    """(n, 42) ten-minute means 22:00–05:00 of the nights that end on these days."""
    return np.concatenate([_day_before(tens, numbers)[:, -EVENING:], tens[:, :MORNING]], axis=1)


def _day_before(rows: Floats, numbers: Ints) -> Floats:
    before = np.full(rows.shape, np.nan)
    follows = np.flatnonzero(np.diff(numbers) == 1)
    before[follows + 1] = rows[follows]
    return before


def _more(rows: Floats, past: Past, kind: int) -> tuple[float, ...]:
    """What a type of days has more than working days, by column; 0 while unknown."""
    own, others = rows[past.calm & (past.types == kind)], rows[past.calm & (past.types == 0)]
    known = len(own) >= 3 and len(others) >= 5
    more: Floats = np.nan_to_num(median(own) - median(others)) if known else np.zeros(rows.shape[1])
    return _curve(more)


def _of_type(types: Ints, profiles: dict[str, tuple[float, ...]]) -> Floats:
    """(n, 24) what each of the days has more than working days."""
    table = np.zeros((1 + len(WEEKEND), 24))
    for kind, name in WEEKEND.items():
        table[kind] = profiles[name]
    found: Floats = table[types]
    return found


def _curve(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
