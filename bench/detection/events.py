"""What happens at a site in a year: labelled events, and a seeded plan of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shared.domain.series import DAY, HOUR, MINUTE

LOSSES = ("burst", "leak")
"""Water is lost: must be found."""
LEGITIMATE = ("flushing", "high_demand", "big_user", "rezoning", "setting", "holiday", "heat")
"""Unusual and right: an alarm is no false one, but must not be called leak or burst."""
FAULTS = ("stuck", "spike", "drift", "dropout", "silence", "out_of_range", "unit_jump", "clock_jump")
"""A meter or clock is wrong: must be found."""
HARMLESS = ("duplicates", "disorder")
"""Lines twice or late: nothing is lost, nothing must be found."""
SETTLES = {"burst": 2, "leak": 3, "flushing": 1, "high_demand": 1, "big_user": 14, "rezoning": 14, "setting": 14,
           "holiday": 1, "heat": 2, "drift": 2}  # fmt: skip
"""Days after the end in which alarms still belong to the event; of others one."""
CLEAN_DAYS = 90
"""Limits are set there, so only a small share of sites has something in them."""


@dataclass(frozen=True, slots=True)
class Event:
    """One labelled span of a site's year; times are epoch seconds, stop is exclusive."""

    kind: str
    start: int
    stop: int
    size: float = 0.0
    """Burst, leak, big user, flushing, high demand: share of the mean flow; re-zoning: share of flow added for good."""
    channel: str = "both"

    @property
    def settled(self) -> int:
        """Epoch seconds from which on an alarm has nothing to do with it."""
        return self.stop + SETTLES.get(self.kind, 1) * DAY


@dataclass(frozen=True)
class Wish:
    """How often a kind comes in a year, how long it lasts (hours) and how large it is, both log-uniform."""

    often: float
    hours: tuple[float, float]
    size: tuple[float, float] = (1.0, 1.0)


WISHES = {
    "leak": Wish(2.0, (14 * 24, 42 * 24), (0.03, 0.15)),
    "heat": Wish(0.7, (5 * 24, 9 * 24), (0.20, 0.40)),
    "rezoning": Wish(0.4, (1, 1), (0.08, 0.35)),
    "big_user": Wish(0.6, (1, 1), (0.04, 0.15)),
    "setting": Wish(0.4, (1, 1), (0.05, 0.15)),
    "drift": Wish(1.0, (2 * 24, 7 * 24), (0.10, 0.40)),
    "burst": Wish(5.0, (5, 72), (0.02, 0.30)),
    "flushing": Wish(3.0, (0.5, 3), (0.20, 1.5)),
    "high_demand": Wish(2.0, (1, 12), (0.15, 0.8)),
    "stuck": Wish(1.2, (6, 48)),
    "spike": Wish(1.2, (0.2, 1), (2.0, 10.0)),
    "dropout": Wish(1.2, (0.75, 12)),
    "silence": Wish(1.2, (0.75, 12)),
    "out_of_range": Wish(1.0, (0.2, 6)),
    "unit_jump": Wish(1.0, (1, 48)),
    "clock_jump": Wish(1.0, (1, 12)),
    "duplicates": Wish(1.0, (1, 24)),
    "disorder": Wish(1.0, (1, 24)),
}
SMALLER = 0.75
"""Sizes of losses at hard sites, in parts of those at typical ones."""


def plan(
    rng: np.random.Generator, first: int, days: int, hard: bool, wishes: Mapping[str, Wish] = WISHES
) -> list[Event]:
    """Events of `days` days from `first` on that neither overlap nor disturb each other, in order of time."""
    taken: list[Event] = []
    for kind, wish in wishes.items():
        number = int(wish.often) + int(rng.random() < wish.often % 1)
        for _ in range(number):
            if (event := _placed(rng, kind, wish, (first + CLEAN_DAYS * DAY, first + days * DAY), taken)) is not None:
                taken.append(_smaller(event) if hard and kind in LOSSES else event)
    if rng.random() < 0.3:
        kind = str(rng.choice(("burst", "flushing", "dropout", "high_demand")))
        span = (first + 5 * DAY, first + min(CLEAN_DAYS, days) * DAY)
        if kind in wishes and (early := _placed(rng, kind, wishes[kind], span, taken)) is not None:
            taken.append(early)
    return sorted(taken, key=lambda event: event.start)


def _placed(rng: np.random.Generator, kind: str, wish: Wish, span: tuple[int, int], taken: list[Event]) -> Event | None:
    """An event at a free place of the span; None when 200 tries found none."""
    for _ in range(200):
        length = _log_uniform(rng, wish.hours) * HOUR
        if length >= span[1] - span[0]:
            continue
        start = int(rng.uniform(span[0], span[1] - length)) // MINUTE * MINUTE
        stop = start + max(int(length) // MINUTE, 1) * MINUTE
        size = _log_uniform(rng, wish.size) * (rng.choice((-1.0, 1.0)) if kind in ("rezoning", "big_user") else 1.0)
        channel = str(rng.choice(("flow_rate", "flow_rate", "pressure", "both")))
        if kind in LOSSES + LEGITIMATE + ("silence", "clock_jump") + HARMLESS:
            channel = "both"
        if kind == "drift":
            size *= rng.choice((-1.0, 1.0))
        event = Event(kind, start, stop, float(size), channel)
        if all(event.settled <= other.start or other.settled <= event.start for other in taken):
            return event
    return None


def _smaller(event: Event) -> Event:
    return Event(event.kind, event.start, event.stop, max(event.size * SMALLER, 0.02), event.channel)


def _log_uniform(rng: np.random.Generator, between: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(between))))
