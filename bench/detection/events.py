"""Events of a site in a year: kinds, labels, and a seeded plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shared.domain.series import DAY, HOUR, MINUTE

LOSSES = ("burst", "leak")
"""Water is lost: must be found."""
LEGITIMATE = ("flushing", "high_demand", "big_user", "rezoning", "setting", "holiday", "heat")
"""Unusual but legitimate: an alarm is not false, but must not be called leak or burst."""
FAULTS = ("stuck", "spike", "drift", "dropout", "silence", "out_of_range", "unit_jump", "clock_jump")
"""A meter or clock is faulty: must be found."""
HARMLESS = ("duplicates", "disorder")
"""Lines that are repeated or late: no data is lost, so nothing must be found."""
SETTLING_DAYS = {
    "burst": 2,
    "leak": 3,
    "flushing": 1,
    "high_demand": 1,
    "big_user": 14,
    "rezoning": 14,
    "setting": 14,
    "holiday": 1,
    "heat": 2,
    "drift": 2,
}
"""Days after the end in which alarms still belong to the event; one day for kinds not listed."""
LEARNING_DAYS = 90
"""Days that limits are fitted to; only a small share of sites has an event in them."""


@dataclass(frozen=True, slots=True)
class Event:
    """One labelled event; times are epoch seconds, stop is exclusive."""

    kind: str
    start: int
    stop: int
    size: float = 0.0
    """Share of the mean flow; for re-zoning, share of the flow added for good."""
    channel: str = "both"

    @property
    def settled_at(self) -> int:
        """Epoch seconds from which on alarms no longer belong to the event."""
        return self.stop + SETTLING_DAYS.get(self.kind, 1) * DAY


@dataclass(frozen=True)
class EventSpec:
    """Frequency, duration (hours) and size of a kind of event; the last two are drawn log-uniformly."""

    per_year: float
    hours: tuple[float, float]
    size: tuple[float, float] = (1.0, 1.0)


EVENT_SPECS = {
    "leak": EventSpec(2.0, (14 * 24, 42 * 24), (0.03, 0.15)),
    "heat": EventSpec(0.7, (5 * 24, 9 * 24), (0.20, 0.40)),
    "rezoning": EventSpec(0.4, (1, 1), (0.08, 0.35)),
    "big_user": EventSpec(0.6, (1, 1), (0.04, 0.15)),
    "setting": EventSpec(0.4, (1, 1), (0.05, 0.15)),
    "drift": EventSpec(1.0, (2 * 24, 7 * 24), (0.10, 0.40)),
    "burst": EventSpec(5.0, (5, 72), (0.02, 0.30)),
    "flushing": EventSpec(3.0, (0.5, 3), (0.20, 1.5)),
    "high_demand": EventSpec(2.0, (1, 12), (0.15, 0.8)),
    "stuck": EventSpec(1.2, (6, 48)),
    "spike": EventSpec(1.2, (0.2, 1), (2.0, 10.0)),
    "dropout": EventSpec(1.2, (0.75, 12)),
    "silence": EventSpec(1.2, (0.75, 12)),
    "out_of_range": EventSpec(1.0, (0.2, 6)),
    "unit_jump": EventSpec(1.0, (1, 48)),
    "clock_jump": EventSpec(1.0, (1, 12)),
    "duplicates": EventSpec(1.0, (1, 24)),
    "disorder": EventSpec(1.0, (1, 24)),
}
HARD_SIZE_FACTOR = 0.75
"""Factor on the sizes of losses at hard sites."""


def plan_events(
    rng: np.random.Generator, first: int, days: int, hard: bool, specs: Mapping[str, EventSpec] = EVENT_SPECS
) -> list[Event]:
    """Plan the events of `days` days from `first` on, in order of time; they do not overlap or disturb each other."""
    events: list[Event] = []
    for kind, spec in specs.items():
        number = int(spec.per_year) + int(rng.random() < spec.per_year % 1)
        for _ in range(number):
            if (
                event := _place_event(rng, kind, spec, (first + LEARNING_DAYS * DAY, first + days * DAY), events)
            ) is not None:
                events.append(_smaller(event) if hard and kind in LOSSES else event)
    if rng.random() < 0.3:
        kind = str(rng.choice(("burst", "flushing", "dropout", "high_demand")))
        span = (first + 5 * DAY, first + min(LEARNING_DAYS, days) * DAY)
        if kind in specs and (early := _place_event(rng, kind, specs[kind], span, events)) is not None:
            events.append(early)
    return sorted(events, key=lambda event: event.start)


def _place_event(
    rng: np.random.Generator, kind: str, spec: EventSpec, span: tuple[int, int], events: list[Event]
) -> Event | None:
    """Place an event in a free part of the span; return None after 200 failed tries."""
    for _ in range(200):
        length = _log_uniform(rng, spec.hours) * HOUR
        if length >= span[1] - span[0]:
            continue
        start = int(rng.uniform(span[0], span[1] - length)) // MINUTE * MINUTE
        stop = start + max(int(length) // MINUTE, 1) * MINUTE
        magnitude = _log_uniform(rng, spec.size) * (
            rng.choice((-1.0, 1.0)) if kind in ("rezoning", "big_user") else 1.0
        )
        channel = str(rng.choice(("flow_rate", "flow_rate", "pressure", "both")))
        if kind in LOSSES + LEGITIMATE + ("silence", "clock_jump") + HARMLESS:
            channel = "both"
        if kind == "drift":
            magnitude *= rng.choice((-1.0, 1.0))
        event = Event(kind, start, stop, float(magnitude), channel)
        if all(event.settled_at <= other.start or other.settled_at <= event.start for other in events):
            return event
    return None


def _smaller(event: Event) -> Event:
    return Event(event.kind, event.start, event.stop, max(event.size * HARD_SIZE_FACTOR, 0.02), event.channel)


def _log_uniform(rng: np.random.Generator, between: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(between))))
