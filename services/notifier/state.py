"""What the notifier must not forget in a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from services.notifier.contact import Severity
from services.notifier.incident import Incident


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """A message to one contact."""

    key: str
    """Id of the message; the same in each attempt."""
    contact: str
    severity: Severity
    state: str
    """`opened`, `cleared`, `reminder`, `group`, `daily` or `test`."""
    title: str
    text: str
    site: str
    sensor: str
    """Empty if the message is about several sensors, or none."""
    at: datetime
    attempts: int = 0


@dataclass(slots=True)
class Works:
    """A maintenance window of a sensor."""

    sensor: str
    since: datetime
    """Its start, which may be in the future."""
    until: datetime
    methods: tuple[str, ...]
    """Silenced methods."""


@dataclass(slots=True)
class State:
    """Incidents and what was sent; it is stored before a message of the broker is acknowledged."""

    run: str
    """Random part of the keys, new at each start: a state that a full disk lost never gives a key again."""
    sequence: int = 0
    """Messages so far."""
    incidents: dict[str, Incident] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    """Incidents that have ended to their last state: the broker may deliver their messages once more."""
    works: dict[str, Works] = field(default_factory=dict)
    sent: dict[str, list[datetime]] = field(default_factory=dict)
    """Contact to the times of its messages of the last hour."""
    daily: dict[str, date] = field(default_factory=dict)
    """Contact to the day of its last daily message."""
    boot_id: str = ""
    """Spool whose readings are counted."""
    seq: int = -1
    """Number of its reading at the last daily message."""
    handover: list[Outgoing] = field(default_factory=list)
    """Messages that may not be in the queue yet."""
    given_up: dict[str, str] = field(default_factory=dict)
    """Contact to the reason why its last message was given up; none once a later one was sent."""
    discovered: list[str] = field(default_factory=list)
    """Ids of the devices that Home Assistant knows."""
