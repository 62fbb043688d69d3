"""Open incidents: from anomalies, summaries, retired sensors and failed services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from services.notifier.incident import Incident, elapsed, from_anomaly
from services.notifier.service_watch import ServiceProblem
from services.notifier.state import State, Works
from shared.contract.messages import AlarmSummary, Anomaly

ENDED_RETENTION = timedelta(days=31)
"""Longer than the broker keeps the session of an absent service."""
SUMMARY_DELAY = timedelta(minutes=5)
"""A retained summary may be older than an incident in late readings; the next one follows within a minute."""
SERVICE_PREFIX = "service:"
"""Start of the key of a failed service; no anomaly has a colon-separated id of this form."""


class IncidentBook:
    """Keeps the incidents of a State up to date."""

    def __init__(self, state: State) -> None:
        self._state = state

    def on_anomaly(self, anomaly: Anomaly, now: datetime) -> bool:
        """Take an anomaly's newest state; return whether anything has changed."""
        if anomaly.kind == "works":
            return self._on_works(anomaly, now)
        known = self._state.incidents.get(anomaly.id)
        last = known.at if known else self._state.ended.get(anomaly.id)
        is_repeated = last is not None and (anomaly.at < last or (known is None and anomaly.at == last))
        if is_repeated or (known is None and anomaly.state == "cleared"):
            return False
        if known and not known.is_open:
            return False
        self._state.incidents[anomaly.id] = from_anomaly(anomaly, now, known)
        return True

    def on_summary(self, summary: AlarmSummary, now: datetime) -> bool:
        """End what is open here but not at the detector: its clearance was lost with the broker's state."""
        stale = [
            incident
            for incident in self._state.incidents.values()
            if incident.sensor == summary.sensor
            and incident.is_open
            and incident.at < summary.at
            and elapsed(incident.noticed_at, now) >= SUMMARY_DELAY
        ]
        if summary.open:
            return False
        for incident in stale:
            self._end(incident, summary.at, now)
        return bool(stale)

    def on_retired(self, sensor: str) -> bool:
        """Drop the incidents of a sensor that has ended, without a message."""
        keys = [key for key, incident in self._state.incidents.items() if incident.sensor == sensor]
        for key in keys:
            self.forget(key)
        return bool(keys)

    def on_service_problems(self, problems: Iterable[ServiceProblem], now: datetime, may_end: bool = True) -> bool:
        """Open an incident for each new problem of a service; end those that are over, if that can be known now."""
        present = {SERVICE_PREFIX + problem.key: problem for problem in problems}
        changed = False
        for key, incident in self._state.incidents.items():
            if may_end and key.startswith(SERVICE_PREFIX) and key not in present and incident.is_open:
                self._end(incident, now, now)
                changed = True
        for key, problem in present.items():
            known = self._state.incidents.get(key)
            if known is None or not known.is_open:
                self._state.incidents[key] = Incident(
                    key=key,
                    sensor="",
                    label=problem.label,
                    text=problem.text,
                    severity=problem.severity,
                    opened_at=problem.since,
                    at=now,
                    noticed_at=now,
                )
                changed = True
        return changed

    def forget(self, key: str) -> None:
        """Forget an incident; its repeated messages open it no more."""
        incident = self._state.incidents.pop(key)
        if not key.startswith(SERVICE_PREFIX):
            self._state.ended[key] = incident.at

    def prune(self, now: datetime) -> None:
        """Forget what is too old to be repeated."""
        self._state.ended = {key: at for key, at in self._state.ended.items() if elapsed(at, now) < ENDED_RETENTION}
        self._state.works = {key: works for key, works in self._state.works.items() if works.until > now}

    def is_silenced(self, incident: Incident, now: datetime) -> bool:
        """Whether a maintenance window is active that covers the incident."""
        return any(
            works.sensor == incident.sensor and works.since <= now < works.until and incident.method in works.methods
            for works in self._state.works.values()
        )

    def _on_works(self, anomaly: Anomaly, now: datetime) -> bool:
        until = anomaly.cleared_at
        if anomaly.state == "cleared" or until is None or until <= now:
            return self._state.works.pop(anomaly.id, None) is not None
        self._state.works[anomaly.id] = Works(anomaly.sensor, anomaly.opened_at, until, tuple(anomaly.methods))
        return True

    def _end(self, incident: Incident, at: datetime, now: datetime) -> None:
        ended = replace(incident, at=at, cleared_at=at, clearance_noticed_at=now)
        self._state.incidents[incident.key] = ended
