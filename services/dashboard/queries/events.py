"""Incidents and works of a span of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from services.dashboard.queries.database import Database
from shared.contract.anomaly_kinds import kind_label
from shared.contract.messages import Kind, LocalizedText, Trigger

WATER_KINDS = ("burst", "leak")
"""Kinds of anomaly that lose water."""
NO_LOSS_CAUSES = ("meter", "use", "works")
"""Confirmed causes of an anomaly that lost no water."""


@dataclass(frozen=True, slots=True)
class Event:
    """One anomaly, or works; times in epoch seconds."""

    id: str
    kind: Kind
    trigger: Trigger
    severity: Literal["info", "warning", "critical"]
    channel: str
    onset_at: int
    opened_at: int
    cleared_at: int | None
    """None while it is open."""
    updated_at: int
    """When its newest state began."""
    excess_m3h: float | None
    lost_m3: float | None
    confirmed_cause: str | None
    text_ko: str
    text_en: str

    @property
    def is_works(self) -> bool:
        return self.kind == "works"

    @property
    def loses_water(self) -> bool:
        return self.kind in WATER_KINDS and self.confirmed_cause not in NO_LOSS_CAUSES

    @property
    def label(self) -> LocalizedText:
        """What it is, in a word or two."""
        return kind_label(self.trigger, self.kind)

    @property
    def text(self) -> LocalizedText:
        """What was seen, and what to do."""
        return LocalizedText(self.text_ko, self.text_en)


_SQL = """SELECT id, kind, "trigger", severity, channel, onset_at, opened_at, cleared_at, at, excess_m3h, lost_m3,
    confirmed_cause, text_ko, text_en FROM ANOMALY_TB WHERE site = ?1 AND sensor = ?2"""


def read_events(database: Database, sensor: str, start: int, stop: int) -> list[Event]:
    """Return incidents and works that overlap [start, stop), oldest first. Raises Unavailable."""
    condition = "AND onset_at < ?4 AND (cleared_at IS NULL OR cleared_at > ?3) ORDER BY opened_at, id"
    return _events(database.rows(f"{_SQL} {condition}", sensor, start, stop))


def read_repairs(database: Database, sensor: str, start: int, stop: int) -> list[Event]:
    """Return the bursts and leaks that were cleared in [start, stop), oldest first. Raises Unavailable."""
    condition = f"AND cleared_at >= ?3 AND cleared_at < ?4 AND kind IN {WATER_KINDS} ORDER BY cleared_at, id"
    return [event for event in _events(database.rows(f"{_SQL} {condition}", sensor, start, stop)) if event.loses_water]


def _events(rows: list[tuple[Any, ...]]) -> list[Event]:
    return [Event(*row) for row in rows]
