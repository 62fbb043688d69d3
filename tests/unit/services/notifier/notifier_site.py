"""A notifier with a settable clock, a state on disk, and a messenger in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from services.notifier.contact import Contact
from services.notifier.sending import Attempt
from services.notifier.service import Notifier
from services.notifier.service_watch import SERVICES
from services.notifier.state import Outgoing
from services.notifier.state_file import StateFile
from shared.contract.messages import Anomaly, LocalizedText, Message, SensorState, Status, StatusCode, Tick
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from tests.unit.factories import KST

MONDAY = datetime(2026, 11, 23, 13, 0, tzinfo=KST)
OPS = Contact(name="ops", language="en", daily=None)


class FakeMessenger:
    """Keeps the messages by key."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self.results: list[Attempt] = []
        self.is_full = False
        self.held: dict[str, Outgoing] = {}
        """Messages that were put while the disk was full."""

    def put(self, message: Outgoing) -> None:
        if self.is_full:
            self.held = {**self.held, message.key: message}
            raise Unavailable(problem("notifications_not_writable", reason="No space left on device"))
        assert message.key not in {known.key for known in self.messages}
        self.messages.append(message)

    def attempts(self) -> Iterable[Attempt]:
        results, self.results = self.results, []
        return results

    def prune(self, now: datetime) -> None:
        pass


class NotifierSite:
    """A running notifier; `pass_time` lets time go by in steps of ten seconds."""

    def __init__(self, folder: Path, contacts: Sequence[Contact] = (OPS,), now: datetime = MONDAY) -> None:
        self.now, self._folder, self._contacts = now, folder, contacts
        self.messenger = FakeMessenger()
        self.published: list[Message] = []
        self.failed_services: dict[str, tuple[str, StatusCode]] = {}
        self.silent_services: set[str] = set()
        self.restart()

    def restart(self) -> None:
        """Start the service again, with what is on disk."""
        store = StateFile(self._folder / "state.json")
        self.service = Notifier(self._contacts, "site1", "site1", store, self.messenger, lambda: self.now)
        list(self.service.start())

    def receive(self, *messages: Message) -> None:
        for message in messages:
            list(self.service.handle(message))
        self.published += self.service.end_batch()

    def pass_time(self, span: timedelta, step: timedelta = timedelta(seconds=10)) -> None:
        """Let time pass while every service publishes its status."""
        end = self.now + span
        while self.now < end:
            self.now = min(end, self.now + step)
            self.receive(*self.statuses())

    def statuses(self) -> list[Status]:
        names = [name for name in SERVICES if name not in self.silent_services]
        return [self.status(name, *self.failed_services.get(name, ("online", "ok"))) for name in names]

    def status(self, name: str, state: str = "online", code: StatusCode = "ok") -> Status:
        return Status(
            site="site1",
            name=name,
            state=state,  # type: ignore[arg-type]
            version="1",
            since=MONDAY,
            at=self.now,
            memory_mb=1.0,
            lag=0,
            code=code,
            note=LocalizedText("문제", "a problem"),
        )

    def take(self) -> list[Outgoing]:
        """Return the messages since the last call."""
        messages, self.messenger.messages = self.messenger.messages, []
        return messages


def anomaly(
    id_: str = "001-flow-burst",
    at: datetime = MONDAY,
    severity: str = "critical",
    sensor: str = "001",
    lost_m3: float | None = None,
) -> Anomaly:
    return Anomaly(
        site="site1",
        sensor=sensor,
        id=id_,
        at=at,
        channels=("flow_rate",),
        methods=("value",),
        kind="burst",
        trigger="burst",
        state="opened",
        acknowledged=False,
        severity=severity,  # type: ignore[arg-type]
        opened_at=at,
        onset_at=at - timedelta(minutes=5),
        cleared_at=None,
        peak=None,
        excess_m3h=12.0,
        lost_m3=lost_m3,
        text=LocalizedText(f"{sensor} 파열이 의심됩니다.", f"Burst suspected at {sensor}."),
    )


def cleared(opened: Anomaly, at: datetime) -> Anomaly:
    return replace(opened, state="cleared", at=at, cleared_at=at)


def works(
    at: datetime,
    until: datetime,
    methods: tuple[str, ...] = ("system", "value", "prediction", "night"),
    sensor: str = "001",
) -> Anomaly:
    window = anomaly(f"{sensor}-works", at, "info", sensor)
    return replace(window, kind="works", trigger="works", methods=methods, cleared_at=until)  # type: ignore[arg-type]


def tick(at: datetime, seq: int, boot_id: str = "boot") -> Tick:
    return Tick("site1", at, boot_id, seq)


def judged(sensor: str, at: datetime, is_active: bool = True) -> SensorState:
    return SensorState(
        site="site1",
        sensor=sensor,
        service="detector",
        at=at,
        is_active=is_active,
        since=at,
        text=LocalizedText("", ""),
    )
