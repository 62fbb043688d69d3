"""An incident: an anomaly or a failed service, and which contacts know of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.notifier.contact import SEVERITIES, Severity
from shared.contract.anomaly_kinds import ANOMALY_KINDS
from shared.contract.messages import Anomaly, LocalizedText

CLOCK_TOLERANCE = timedelta(minutes=1)
"""A stored time that is farther ahead is from before the machine's clock was set back."""


def elapsed(since: datetime, now: datetime) -> timedelta:
    """Return the time since then; without end if the clock was set back meanwhile, so that nothing waits for ever."""
    return timedelta.max if since > now + CLOCK_TOLERANCE else now - since


@dataclass(slots=True)
class Notice:
    """What a contact was last sent about an incident."""

    severity: Severity
    at: datetime
    """When it was last notified; the next reminder counts from here."""


@dataclass(slots=True, kw_only=True)
class Incident:
    """An anomaly or a failed service in its newest state."""

    key: str
    sensor: str
    """Empty for a service."""
    label: LocalizedText
    text: LocalizedText
    severity: Severity
    opened_at: datetime
    at: datetime
    """When its newest state began."""
    noticed_at: datetime
    """When the notifier received its present severity."""
    cleared_at: datetime | None = None
    clearance_noticed_at: datetime | None = None
    """When the notifier received the clearance."""
    acknowledged: bool = False
    method: str = ""
    """Method that found it first; empty for a service."""
    lost_m3: float | None = None
    notices: dict[str, Notice] = field(default_factory=dict)
    """Contact to what it was last sent while it was open."""
    informed: set[str] = field(default_factory=set)
    """Contacts that were sent that it has ended."""

    @property
    def is_open(self) -> bool:
        return self.cleared_at is None


def from_anomaly(anomaly: Anomaly, now: datetime, known: Incident | None) -> Incident:
    """Return the incident of an anomaly's newest state; `known` is the state before."""
    is_new_or_worse = known is None or SEVERITIES.index(anomaly.severity) > SEVERITIES.index(known.severity)
    is_cleared = anomaly.state == "cleared"
    return Incident(
        key=anomaly.id,
        sensor=anomaly.sensor,
        label=ANOMALY_KINDS[anomaly.trigger].label,
        text=anomaly.text,
        severity=anomaly.severity,
        opened_at=anomaly.onset_at,
        at=anomaly.at,
        noticed_at=now if known is None or is_new_or_worse else known.noticed_at,
        cleared_at=(anomaly.cleared_at or anomaly.at) if is_cleared else None,
        clearance_noticed_at=now if is_cleared else None,
        acknowledged=anomaly.acknowledged or anomaly.closed,
        method=anomaly.method,
        lost_m3=anomaly.lost_m3,
        notices=known.notices if known else {},
    )
