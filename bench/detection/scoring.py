"""Event-level score of alarms against labelled events; pure, so that any detector's alarms can be scored."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from bench.detection.events import FAULTS, LEGITIMATE, LOSSES, Event
from shared.domain.series import DAY, WEEK

SYSTEM_KINDS = ("silence", "stuck", "out_of_range", "clock")
"""Kinds of alarm that speak of the meter: they find a fault, never a loss of water."""
LOSS_KINDS = ("burst", "leak")
WITHIN = {"leak": 14 * DAY}
"""A loss of this kind counts as found only so soon after its onset; others while they last."""
EARLY = 300
"""Seconds before an event's onset in which an alarm belongs to it: a clock that goes wrong shows a while before."""
BURST_SIZES = (0.02, 0.05, 0.10, 0.20)
LARGE = 0.10
"""Bursts of this share of the mean flow and more are counted apart, too."""

LUCKY = 0.9
"""With a greater chance of a lucky hit nothing can be said of recall."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of a detector; epoch seconds, `stop` exclusive (end of the record while it is open)."""

    kind: str
    start: int
    stop: int
    channel: str = "flow_rate"

    def moments(self) -> Iterable[int]:
        """When an operator is bothered: at the start and once a day while it lasts."""
        return range(self.start, max(self.stop, self.start + 1), DAY)


@dataclass
class Score:
    """Counts over one or more sites; add them up with `+`."""

    weeks: float = 0.0
    """Of record outside any event and its settling time, after the first days that no one judges."""
    false: int = 0
    false_kinds: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    luck: dict[str, float] = field(default_factory=dict)
    """Sum over the events of the chance that alarms at the false ones' rate would hit it."""
    delays: dict[str, list[float]] = field(default_factory=dict)
    """Minutes from onset to the first alarm, by kind."""
    named: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(event's kind, alarm's kind): events with such an alarm."""
    called_loss: int = 0
    """Legitimate events during which an alarm was called leak or burst."""

    def __add__(self, other: Score) -> Score:
        return Score(
            self.weeks + other.weeks,
            self.false + other.false,
            self.false_kinds + other.false_kinds,
            self.events + other.events,
            self.hits + other.hits,
            {kind: self.luck.get(kind, 0.0) + other.luck.get(kind, 0.0) for kind in self.luck | other.luck},
            {kind: self.delays.get(kind, []) + other.delays.get(kind, []) for kind in self.delays | other.delays},
            self.named + other.named,
            self.called_loss + other.called_loss,
        )

    def recall(self, *kinds: str) -> float:
        """Share of the events of these kinds that were found, corrected for lucky hits.

        NaN without events, and where so many alarms are false that most finds are luck.
        """
        number = sum(self.events[kind] for kind in kinds)
        if not number:
            return math.nan
        hit = sum(self.hits[kind] for kind in kinds) / number
        chance = sum(self.luck.get(kind, 0.0) for kind in kinds) / number
        return max(0.0, (hit - chance) / (1 - chance)) if chance < LUCKY else math.nan

    @property
    def false_per_week(self) -> float:
        """Alarms outside any event, a week of such time."""
        return self.false / self.weeks if self.weeks else math.nan

    @property
    def legitimate_called_loss(self) -> float:
        """Share of legitimate events that were called leak or burst."""
        number = sum(self.events[kind] for kind in LEGITIMATE)
        return self.called_loss / number if number else math.nan

    @property
    def precision(self) -> float:
        """Found events among found events and false alarms."""
        found = sum(self.hits[kind] for kind in LOSSES + FAULTS)
        return found / (found + self.false) if found + self.false else math.nan

    def delay(self, kind: str) -> float:
        """Median minutes from onset to the first alarm of the found events of a kind."""
        return statistics.median(self.delays[kind]) if self.delays.get(kind) else math.nan


def names_of(event: Event) -> list[str]:
    """What an event is counted as: its kind; bursts also by size, and those of 10 % of the mean flow and more."""
    if event.kind != "burst":
        return [event.kind]
    lower = max(size for size in BURST_SIZES if size <= max(event.size, BURST_SIZES[0]))
    return ["burst", f"burst_{100 * lower:.0f}", *(["large_burst"] if event.size >= LARGE else [])]


def score(
    alarms: Sequence[Alarm],
    events: Sequence[Event],
    start: int,
    stop: int,
    names: Callable[[Event], list[str]] = names_of,
) -> Score:
    """Scores one site's alarms from `start` (where the limits have been set) up to `stop`, epoch seconds.

    Events that begin before `start` only excuse alarms. An event is found when an alarm of a kind that can mean it
    bothers someone in its window. `names`: what an event is counted as.
    """
    found = Score()
    found.weeks = _clean_seconds(events, start, stop) / WEEK
    moments = sorted((at, alarm.kind) for alarm in alarms for at in alarm.moments() if start <= at < stop)
    for at, kind in moments:
        if not any(event.start - EARLY <= at < event.settled for event in events):
            found.false += 1
            found.false_kinds[kind] += 1
    losses = [event for event in events if event.kind in LOSSES]
    for event in (event for event in events if start <= event.start < stop):
        window = _window(event)
        during = [(at, kind) for at, kind in moments if -EARLY <= at - event.start < window]
        if event.kind not in LEGITIMATE:
            _count_found(found, event, during, names(event))
        elif not any(loss.start < event.stop and event.start < loss.settled for loss in losses):
            found.events[event.kind] += 1
            found.called_loss += any(kind in LOSS_KINDS for _, kind in during)
            found.named.update({(event.kind, kind) for _, kind in during})
    return found


def _count_found(found: Score, event: Event, during: Sequence[tuple[int, str]], names: Iterable[str]) -> None:
    fitting = [at for at, kind in during if event.kind not in LOSSES or kind not in SYSTEM_KINDS]
    luck = 1 - math.exp(-_rate(found, event) * _window(event))
    for name in names:
        found.named.update({(name, kind) for _, kind in during})
        found.events[name] += 1
        found.luck[name] = found.luck.get(name, 0.0) + luck
        if fitting:
            found.hits[name] += 1
            found.delays.setdefault(name, []).append(max(0, fitting[0] - event.start) / 60)


def _rate(found: Score, event: Event) -> float:
    """False alarms of kinds that would count as finding the event, a second."""
    fitting = sum(
        number for kind, number in found.false_kinds.items() if event.kind not in LOSSES or kind not in SYSTEM_KINDS
    )
    return fitting / (found.weeks * WEEK) if found.weeks else 0.0


def _window(event: Event) -> int:
    """Seconds from onset in which an alarm finds an event: the end of a fault shows, too, and silence is told late."""
    if event.kind in WITHIN:
        return min(event.stop - event.start, WITHIN[event.kind])
    return event.stop - event.start + (1800 if event.kind in LOSSES else 3600)


def _clean_seconds(events: Iterable[Event], start: int, stop: int) -> int:
    """Seconds of [start, stop) outside any event and its settling time."""
    clean, at = 0, start
    for event in sorted(chain(events, [Event("end", stop, stop)]), key=lambda event: event.start):
        clean += max(0, min(event.start, stop) - at)
        at = max(at, min(event.settled, stop))
    return clean
