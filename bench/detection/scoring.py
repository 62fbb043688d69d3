"""Event-level score of alarms against labelled events; independent of the detector."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import get_args

from bench.detection.events import FAULTS, LEGITIMATE, LOSSES, Event
from shared.contract.anomaly_kinds import ANOMALY_KINDS
from shared.contract.messages import Kind
from shared.domain.series import DAY, WEEK

SYSTEM_KINDS = tuple(kind for kind in get_args(Kind) if ANOMALY_KINDS[kind].is_meter_fault)
"""Kinds of alarm about the meter: they find a fault, never a loss."""
LOSS_KINDS = ("burst", "leak")
MAX_DELAY_SECONDS = {"leak": 14 * DAY}
"""Maximum seconds after the onset in which a loss of this kind counts as found; others count while they last."""
EARLY_SECONDS = 300
"""Seconds before an event's onset in which an alarm belongs to it: a wrong clock shows earlier."""
BURST_SIZES = (0.02, 0.05, 0.10, 0.20)
LARGE_BURST = 0.10
"""Bursts of at least this share of the mean flow are also counted separately."""

MAX_CHANCE_HIT = 0.9
"""Chance of a hit by a false alarm above which no recall is given."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of a detector; epoch seconds, `stop` exclusive (end of the record while it is open)."""

    kind: str
    start: int
    stop: int
    channel: str = "flow_rate"

    def reminder_times(self) -> Iterable[int]:
        """Times at which an operator is disturbed: at the start and once a day while it lasts."""
        return range(self.start, max(self.stop, self.start + 1), DAY)


@dataclass
class Score:
    """Counts over one or more sites; add them with `+`."""

    weeks: float = 0.0
    """Weeks of record outside any event and its settling time, after the learning days."""
    false_alarms: int = 0
    false_alarms_by_kind: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    chance_hits: dict[str, float] = field(default_factory=dict)
    """Sum over the events of the chance that false alarms at their rate would hit it."""
    delays: dict[str, list[float]] = field(default_factory=dict)
    """Minutes from onset to the first alarm, by kind."""
    alarm_kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(event's kind, alarm's kind): number of events with such an alarm."""
    called_loss: int = 0
    """Legitimate events with an alarm called leak or burst."""

    def __add__(self, other: Score) -> Score:
        return Score(
            self.weeks + other.weeks,
            self.false_alarms + other.false_alarms,
            self.false_alarms_by_kind + other.false_alarms_by_kind,
            self.events + other.events,
            self.hits + other.hits,
            {
                kind: self.chance_hits.get(kind, 0.0) + other.chance_hits.get(kind, 0.0)
                for kind in self.chance_hits | other.chance_hits
            },
            {kind: self.delays.get(kind, []) + other.delays.get(kind, []) for kind in self.delays | other.delays},
            self.alarm_kinds + other.alarm_kinds,
            self.called_loss + other.called_loss,
        )

    def recall(self, *kinds: str) -> float:
        """Return the share of the events of these kinds that were found, corrected for hits by chance.

        NaN without events, and where most hits may be chance.
        """
        number = sum(self.events[kind] for kind in kinds)
        if not number:
            return math.nan
        hit = sum(self.hits[kind] for kind in kinds) / number
        chance = sum(self.chance_hits.get(kind, 0.0) for kind in kinds) / number
        return max(0.0, (hit - chance) / (1 - chance)) if chance < MAX_CHANCE_HIT else math.nan

    @property
    def false_per_week(self) -> float:
        """Alarms outside any event, per week of such time."""
        return self.false_alarms / self.weeks if self.weeks else math.nan

    @property
    def legitimate_called_loss(self) -> float:
        """Share of legitimate events that were called leak or burst."""
        number = sum(self.events[kind] for kind in LEGITIMATE)
        return self.called_loss / number if number else math.nan

    @property
    def precision(self) -> float:
        """Share of found events among found events and false alarms."""
        hits = sum(self.hits[kind] for kind in LOSSES + FAULTS)
        return hits / (hits + self.false_alarms) if hits + self.false_alarms else math.nan

    def delay(self, kind: str) -> float:
        """Return the median minutes from onset to the first alarm of the found events of a kind."""
        return statistics.median(self.delays[kind]) if self.delays.get(kind) else math.nan


def labels_of(event: Event) -> list[str]:
    """Return what an event is counted as: its kind; bursts also by size, and as large ones."""
    if event.kind != "burst":
        return [event.kind]
    lower = max(lower_bound for lower_bound in BURST_SIZES if lower_bound <= max(event.size, BURST_SIZES[0]))
    return ["burst", f"burst_{100 * lower:.0f}", *(["large_burst"] if event.size >= LARGE_BURST else [])]


def score(
    alarms: Sequence[Alarm],
    events: Sequence[Event],
    start: int,
    stop: int,
    names: Callable[[Event], list[str]] = labels_of,
) -> Score:
    """Score one site's alarms from `start` (where the limits are fitted) up to `stop`, epoch seconds.

    Events that begin before `start` only excuse alarms. An event is found when an alarm of a suitable kind is raised in
    its window. names: what an event is counted as.
    """
    total = Score()
    total.weeks = _clean_seconds(events, start, stop) / WEEK
    moments = sorted((at, alarm.kind) for alarm in alarms for at in alarm.reminder_times() if start <= at < stop)
    for at, kind in moments:
        if not any(event.start - EARLY_SECONDS <= at < event.settled_at for event in events):
            total.false_alarms += 1
            total.false_alarms_by_kind[kind] += 1
    losses = [event for event in events if event.kind in LOSSES]
    for event in (event for event in events if start <= event.start < stop):
        window = _window(event)
        during = [(at, kind) for at, kind in moments if -EARLY_SECONDS <= at - event.start < window]
        if event.kind not in LEGITIMATE:
            _count_found(total, event, during, names(event))
        elif not any(loss.start < event.stop and event.start < loss.settled_at for loss in losses):
            total.events[event.kind] += 1
            total.called_loss += any(kind in LOSS_KINDS for _, kind in during)
            total.alarm_kinds.update({(event.kind, kind) for _, kind in during})
    return total


def _count_found(total: Score, event: Event, during: Sequence[tuple[int, str]], names: Iterable[str]) -> None:
    fitting = [at for at, kind in during if event.kind not in LOSSES or kind not in SYSTEM_KINDS]
    luck = 1 - math.exp(-_false_alarm_rate(total, event) * _window(event))
    for name in names:
        total.alarm_kinds.update({(name, kind) for _, kind in during})
        total.events[name] += 1
        total.chance_hits[name] = total.chance_hits.get(name, 0.0) + luck
        if fitting:
            total.hits[name] += 1
            total.delays.setdefault(name, []).append(max(0, fitting[0] - event.start) / 60)


def _false_alarm_rate(total: Score, event: Event) -> float:
    """Return the false alarms a second of kinds that would count as finding the event."""
    fitting = sum(
        number
        for kind, number in total.false_alarms_by_kind.items()
        if event.kind not in LOSSES or kind not in SYSTEM_KINDS
    )
    return fitting / (total.weeks * WEEK) if total.weeks else 0.0


def _window(event: Event) -> int:
    """Return the seconds from onset in which an alarm finds an event; the end of a fault shows, too."""
    if event.kind in MAX_DELAY_SECONDS:
        return min(event.stop - event.start, MAX_DELAY_SECONDS[event.kind])
    return event.stop - event.start + (1800 if event.kind in LOSSES else 3600)


def _clean_seconds(events: Iterable[Event], start: int, stop: int) -> int:
    """Return the seconds of [start, stop) outside any event and its settling time."""
    seconds, at = 0, start
    for event in sorted(chain(events, [Event("end", stop, stop)]), key=lambda event: event.start):
        seconds += max(0, min(event.start, stop) - at)
        at = max(at, min(event.settled_at, stop))
    return seconds
