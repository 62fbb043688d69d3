"""Failed services: those that are silent or offline, and those with a problem that people must know of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.contact import Severity
from services.notifier.incident import elapsed
from shared.contract.messages import LocalizedText, Status, StatusCode
from shared.contract.status_codes import STATUS_CODES
from shared.contract.texts import localized

OFFLINE_DELAY = timedelta(minutes=3)
"""A service that restarts is back within this time; each publishes its status every five seconds."""
ALL_SILENT_DELAY = timedelta(minutes=2)
"""Without any status for so long, the broker is away: then no single service has failed."""
STOPPED_DELAY = timedelta(minutes=15)
"""A service that was stopped on purpose, such as for a restore."""
PROBLEM_DELAYS: dict[Severity, timedelta] = {"critical": timedelta(minutes=1), "warning": timedelta(minutes=10)}
"""Time that a problem must last; most end by themselves."""
SERVICES: dict[str, Severity] = {
    "ingest": "critical",
    "detector": "critical",
    "db_writer": "critical",
    "forecaster": "warning",
    "trainer": "warning",
    "reporter": "warning",
}
"""Service that every site has to the severity of its failure; that of others is a warning."""
NOT_WATCHED = ("operator", "viewer", "notifier")
"""Users that come and go, and the notifier itself."""
CONSEQUENCES = {
    "ingest": LocalizedText("계측값을 받지 않습니다.", "No readings are accepted."),
    "detector": LocalizedText("이상을 감지하지 않습니다.", "No anomaly is detected."),
    "db_writer": LocalizedText("계측값을 저장하지 않습니다.", "No readings are stored."),
    "forecaster": LocalizedText("예측을 하지 않습니다.", "No forecasts are made."),
    "trainer": LocalizedText("모델을 학습하지 않습니다.", "No models are trained."),
    "reporter": LocalizedText(
        "alert.txt와 server.txt를 기록하지 않습니다.", "alert.txt and server.txt are not written."
    ),
}
"""What does not work without a service."""
CODE_SEVERITIES: dict[StatusCode, Severity] = {
    "ok": "info",
    "waiting_for_broker": "info",
    "busy": "info",
    "database_restored": "warning",
    "database_locked": "warning",
    "database_not_readable": "warning",
    "database_full": "critical",
    "database_not_writable": "critical",
    "database_corrupt": "critical",
    "database_not_replaceable": "critical",
    "schema_newer": "critical",
    "schema_older": "info",
    "backup_failed": "warning",
    "history_incomplete": "info",
    "topic_refused": "warning",
    "spool_filling": "critical",
    "readings_dropped": "critical",
    "spool_not_writable": "critical",
    "rejected_not_writable": "critical",
    "output_not_writable": "warning",
    "model_deactivated": "info",
    "processor_without_avx": "info",
    "clock_unconfirmed": "warning",
    "clock_set_back": "info",
    "clock_behind": "warning",
    "clock_unset": "warning",
    "meter_clock_differs": "warning",
    "notification_failing": "info",
    "notification_given_up": "info",
    "notifications_not_writable": "info",
}
"""Severity of each status code; `info` is not sent: it passes, nothing has to be done, or nobody could receive it."""


@dataclass(frozen=True, slots=True)
class ServiceProblem:
    """A failed service."""

    key: str
    severity: Severity
    label: LocalizedText
    text: LocalizedText
    since: datetime


@dataclass(slots=True)
class _Watched:
    """What is known of one service."""

    status: Status | None
    received_at: datetime
    """When its newest status arrived; without one, since when it is expected."""
    since: datetime
    """Since when it has the present state and code."""


class ServiceWatch:
    """Newest status of each service, and since when it has been so."""

    def __init__(self, now: datetime) -> None:
        """Expect a status of each service from now on."""
        self._started_at = self._last_received_at = now
        self._watched = {name: _Watched(None, now, now) for name in SERVICES}

    def on_status(self, status: Status, now: datetime) -> None:
        """Take the status of a service."""
        if status.name in NOT_WATCHED:
            return
        if self.is_broker_silent(now):
            for watched in self._watched.values():
                if elapsed(watched.received_at, self._last_received_at) < OFFLINE_DELAY:
                    watched.received_at = now  # its messages could not arrive; it has time to publish again
        self._last_received_at = now
        known = self._watched.get(status.name)
        before = known.status if known else None
        is_same = before is not None and (before.state, before.code) == (status.state, status.code)
        since = known.since if known and is_same else now
        self._watched[status.name] = _Watched(status, now, since)

    def is_settled(self, now: datetime) -> bool:
        """Whether every service had time to publish a status since the start."""
        return elapsed(self._started_at, now) >= OFFLINE_DELAY

    def is_broker_silent(self, now: datetime) -> bool:
        """Whether the broker seems to be away, so that nothing is known of single services."""
        return elapsed(self._last_received_at, now) >= ALL_SILENT_DELAY

    @property
    def healthy(self) -> int:
        """Number of services that are online without a problem that people must know of."""
        return sum(
            watched.status is not None
            and watched.status.state == "online"
            and CODE_SEVERITIES[watched.status.code] == "info"
            for watched in self._watched.values()
        )

    def problems(self, now: datetime) -> Iterator[ServiceProblem]:
        """Yield the services that have failed for long enough."""
        if self.is_broker_silent(now):
            if elapsed(self._last_received_at, now) >= OFFLINE_DELAY:
                yield _all_silent(self._last_received_at)
            return
        for name, watched in self._watched.items():
            if elapsed(watched.received_at, now) >= OFFLINE_DELAY:
                yield _stopped(name, watched.received_at)
            elif watched.status and watched.status.state != "online":
                delay = OFFLINE_DELAY if watched.status.state == "offline" else STOPPED_DELAY
                if elapsed(watched.since, now) >= delay:
                    yield _stopped(name, watched.since)
            elif watched.status:
                severity = CODE_SEVERITIES[watched.status.code]
                if severity != "info" and elapsed(watched.since, now) >= PROBLEM_DELAYS[severity]:
                    yield _troubled(watched.status, severity, watched.since)


def _all_silent(since: datetime) -> ServiceProblem:
    text = localized(
        "{at}부터 모든 서비스의 응답이 없습니다. 이상을 감지하지 않습니다. "
        "./wvr status를 확인하고 ./wvr up을 실행하세요.",
        "No service has answered since {at}. No anomaly is detected. See ./wvr status, then run ./wvr up.",
        at=f"{since:%Y-%m-%d %H:%M}",
    )
    label = LocalizedText("브로커 응답 없음", "Broker does not answer")
    return ServiceProblem("broker:offline", "critical", label, text, since)


def _stopped(name: str, since: datetime) -> ServiceProblem:
    consequence = CONSEQUENCES.get(name, LocalizedText("", ""))
    text = localized(
        "{name} 서비스가 {at}부터 응답하지 않습니다. {consequence_ko} 확인: ./wvr status, ./wvr logs {name}",
        "The service {name} has not answered since {at}. {consequence_en} See ./wvr status and ./wvr logs {name}.",
        name=name,
        at=f"{since:%Y-%m-%d %H:%M}",
        consequence_ko=consequence.ko,
        consequence_en=consequence.en,
    )
    label = localized("{name} 중지", "{name} has stopped", name=name)
    return ServiceProblem(f"{name}:offline", SERVICES.get(name, "warning"), label, text, since)


def _troubled(status: Status, severity: Severity, since: datetime) -> ServiceProblem:
    action = STATUS_CODES[status.code].action
    text = localized(
        "{name}: {note_ko}({at}부터). 조치: {action_ko}",
        "{name}: {note_en} (since {at}). What to do: {action_en}",
        name=status.name,
        at=f"{since:%Y-%m-%d %H:%M}",
        note_ko=status.note.ko,
        note_en=status.note.en,
        action_ko=action.ko,
        action_en=action.en,
    )
    label = localized("{name} 문제", "{name} has a problem", name=status.name)
    return ServiceProblem(f"{status.name}:{status.code}", severity, label, text, since)
