"""Incidents with their timeline, and how many there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from services.dashboard.queries.database import Database
from services.dashboard.queries.site_time import DAY, HOUR
from shared.contract.anomaly_kinds import is_meter_fault, kind_label
from shared.contract.messages import Cause, Kind, LocalizedText, Trigger

Phase = Literal["open", "acknowledged", "unconfirmed", "cleared", "closed"]
"""`unconfirmed`: it has cleared, and nobody has acknowledged it."""
PHASES: tuple[Phase, ...] = get_args(Phase)
CAUSES: tuple[Cause, ...] = get_args(Cause)
Change = Literal["opened", "worse", "updated", "acknowledged", "unacknowledged", "noted", "cleared", "closed"]
WEEK = 7 * DAY
REAL_CAUSES = ("burst", "leak")
"""Confirmed causes that show that the alarm was right."""


@dataclass(frozen=True, slots=True)
class Incident:
    """The newest state of an anomaly or of works; times in epoch seconds."""

    sensor: str
    id: str
    kind: Kind
    trigger: Trigger
    severity: Literal["info", "warning", "critical"]
    state: Literal["opened", "updated", "cleared"]
    acknowledged: bool
    closed: bool
    channels: str
    methods: str
    """Separated by commas, as `channels`."""
    onset_at: int
    opened_at: int
    cleared_at: int | None
    updated_at: int
    excess_m3h: float | None
    lost_m3: float | None
    confirmed_cause: Cause | None
    note: str
    operator: str
    text_ko: str
    text_en: str

    @property
    def phase(self) -> Phase:
        if self.state != "cleared":
            return "acknowledged" if self.acknowledged else "open"
        if self.closed:
            return "closed"
        return "cleared" if self.acknowledged else "unconfirmed"

    @property
    def label(self) -> LocalizedText:
        """What it is, in a word or two."""
        return kind_label(self.trigger, self.kind)

    @property
    def text(self) -> LocalizedText:
        """What was seen, and what to do."""
        return LocalizedText(self.text_ko, self.text_en)

    @property
    def counts_against_the_dial(self) -> bool:
        """Whether it may have been a false alarm: no meter fault, and not confirmed as real."""
        return not is_meter_fault(self.trigger, self.kind) and self.confirmed_cause not in REAL_CAUSES

    def open_seconds(self, now: int) -> int:
        """Return how long it has been open, or was."""
        end = now if self.state != "cleared" or self.cleared_at is None else self.cleared_at
        return max(end - self.opened_at, 0)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One change of an incident."""

    at: int
    change: Change
    operator: str
    """Empty for a change that no operator made."""
    note: str
    cause: Cause | None
    excess_m3h: float | None
    lost_m3: float | None
    text_ko: str
    text_en: str

    @property
    def text(self) -> LocalizedText:
        return LocalizedText(self.text_ko, self.text_en)


@dataclass(frozen=True, slots=True)
class Week:
    """Incidents that were opened in a week."""

    start: int
    total: int
    meter_faults: int
    confirmed: int
    """Confirmed as burst or leak."""
    against_the_dial: int


_SQL = """SELECT sensor, id, kind, "trigger", severity, state, acknowledged, closed, channels, methods, onset_at,
    opened_at, cleared_at, at, excess_m3h, lost_m3, confirmed_cause, note, operator, text_ko, text_en
    FROM ANOMALY_TB WHERE site = ?1"""
_STATES_SQL = """SELECT at, state, severity, acknowledged, closed, confirmed_cause, note, operator, excess_m3h, lost_m3,
    text_ko, text_en FROM ANOMALY_STATE_TB WHERE site = ?1 AND sensor = ?2 AND id = ?3 ORDER BY at, state = 'cleared'"""
_OPENED_SINCE = "(state != 'cleared' OR opened_at >= ?2) AND kind != 'works' ORDER BY opened_at DESC, id"
_WORKS_SINCE = "kind = 'works' AND cleared_at > ?2 AND NOT (closed AND cleared_at <= ?2) ORDER BY opened_at, sensor"


def read_incidents(database: Database, since: int) -> list[Incident]:
    """Return the open incidents and those that were opened since then, newest first. Raises Unavailable."""
    return _incidents(database.rows(f"{_SQL} AND {_OPENED_SINCE}", since))


def read_works(database: Database, now: int) -> list[Incident]:
    """Return the maintenance windows that are active or planned, first ones first. Raises Unavailable."""
    works = _incidents(database.rows(f"{_SQL} AND {_WORKS_SINCE}", now))
    return [window for window in works if window.state != "cleared"]


def read_incident(database: Database, sensor: str, id_: str) -> Incident | None:
    """Return an incident, or None if there is none of this id. Raises Unavailable."""
    return next(iter(_incidents(database.rows(f"{_SQL} AND sensor = ?2 AND id = ?3", sensor, id_))), None)


def find_incident(database: Database, id_: str) -> Incident | None:
    """Return the incident of an id at any sensor, or None. Raises Unavailable."""
    return next(iter(_incidents(database.rows(f"{_SQL} AND id = ?2", id_))), None)


def read_timeline(database: Database, sensor: str, id_: str) -> list[TimelineEntry]:
    """Return every change of an incident, oldest first. Raises Unavailable."""
    states = database.named_rows(_STATES_SQL, sensor, id_)
    return [_entry(before, state) for before, state in pairwise([None, *states]) if state is not None]


def weeks(incidents: Iterable[Incident], now: int, count: int) -> list[Week]:
    """Return the last weeks up to now, newest first."""
    incidents = list(incidents)
    starts = [now - number * WEEK for number in range(1, count + 1)]
    return [_week(start, [item for item in incidents if start <= item.opened_at < start + WEEK]) for start in starts]


def count_causes(incidents: Iterable[Incident]) -> dict[str, int]:
    """Return confirmed causes by frequency; `none` stands for those without one."""
    return dict(Counter(incident.confirmed_cause or "none" for incident in incidents).most_common())


def count_kinds(incidents: Iterable[Incident]) -> list[tuple[LocalizedText, int]]:
    """Return what the incidents were, the most frequent first."""
    return Counter(incident.label for incident in incidents).most_common()


def _week(start: int, incidents: list[Incident]) -> Week:
    faults = sum(is_meter_fault(item.trigger, item.kind) for item in incidents)
    confirmed = sum(item.confirmed_cause in REAL_CAUSES for item in incidents)
    return Week(start, len(incidents), faults, confirmed, sum(item.counts_against_the_dial for item in incidents))


def _incidents(rows: Iterable[tuple[Any, ...]]) -> list[Incident]:
    return [Incident(*(*row[:6], *map(bool, row[6:8]), *row[8:])) for row in rows]


def _entry(before: dict[str, Any] | None, state: dict[str, Any]) -> TimelineEntry:
    change = _change(before, state)
    is_entered = change in ("acknowledged", "unacknowledged", "noted", "closed")
    return TimelineEntry(
        at=state["at"],
        change=change,
        operator=state["operator"] if is_entered else "",
        note=state["note"] if is_entered and _differs(before, state, "note") else "",
        cause=state["confirmed_cause"] if is_entered else None,
        excess_m3h=state["excess_m3h"],
        lost_m3=state["lost_m3"],
        text_ko=state["text_ko"],
        text_en=state["text_en"],
    )


def _change(before: dict[str, Any] | None, state: dict[str, Any]) -> Change:
    if before is None:
        return "cleared" if state["state"] == "cleared" else "opened"
    if state["closed"] and not before["closed"]:
        return "closed"
    if state["state"] == "cleared" and before["state"] != "cleared":
        return "cleared"
    if state["acknowledged"] != before["acknowledged"]:
        return "acknowledged" if state["acknowledged"] else "unacknowledged"
    if any(_differs(before, state, name) for name in ("note", "operator", "confirmed_cause")):
        return "noted"
    return "worse" if state["severity"] != before["severity"] else "updated"


def _differs(before: dict[str, Any] | None, state: dict[str, Any], name: str) -> bool:
    return bool(state[name]) and (before is None or state[name] != before[name])


def chart_ends(incident: Incident, now: int) -> tuple[int, int]:
    """Return the span that explains an incident: from half a day before its onset to some hours after its end."""
    end = incident.cleared_at if incident.state == "cleared" and incident.cleared_at else now
    start = incident.onset_at - DAY // 2
    return start, max(min(end + 6 * HOUR, now), incident.opened_at + HOUR)


def open_longer_than(incidents: Iterable[Incident], now: int, seconds: int) -> Iterator[Incident]:
    """Yield the open incidents that have been open for longer."""
    return (item for item in incidents if item.state != "cleared" and now - item.opened_at > seconds)
