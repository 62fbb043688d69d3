"""The operator's side of the broker: what the commands say to a running site, and wait to hear."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from cli.bootstrap import CommandError
from shared.contract.messages import Command, CommandName, HistoryBatch, Message, Progress, Response, Status
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings

BROKER_TIMEOUT_SECONDS = 60
"""Seconds without the broker after which a command gives up."""
REPLY_TIMEOUT_SECONDS = 600
"""Seconds in which nothing is heard of what a command wants; then it gives up."""


class Operator:
    """Declares what the broker user `operator` may say and hear."""

    name: ClassVar[str] = "operator"
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Response, Status)
    produces: ClassVar[tuple[type[Message], ...]] = (Command, HistoryBatch)
    commands: ClassVar[tuple[str, ...]] = ()

    def start(self) -> Iterable[Message]:
        return ()

    def handle(self, message: Message) -> Iterable[Message]:  # noqa: ARG002
        return ()

    def settle(self) -> Iterable[Message]:
        return ()


class IdleTimeout:
    """How long nothing has been heard."""

    def __init__(self) -> None:
        self._heard = time.monotonic()

    def reset(self) -> None:
        """Something was heard."""
        self._heard = time.monotonic()

    def check(self, seconds: float, what: str) -> None:
        """Raises Missing when nothing was heard for so long."""
        if time.monotonic() - self._heard >= seconds:
            raise CommandError(f"{what} for {seconds:.0f} s; ./wvr status and ./wvr doctor say more")


def publish_and_wait(settings: Settings, say: Iterable[Message], heard: Callable[[Message], bool]) -> None:
    """Publishes messages, then listens until `heard` returns True for one that came after.

    Raises Missing without a broker, and where nothing but statuses comes for ten minutes.
    """
    bus, patience = MqttBus("operator", settings), IdleTimeout()
    try:
        bus.open(Operator(), lambda: patience.check(BROKER_TIMEOUT_SECONDS, "the broker does not answer"))
        for _ in _drain(bus):
            pass
        patience.reset()
        for message in say:
            bus.publish(message)
        bus.confirm()
        patience.reset()
        while not any(heard(message) for message in _received(bus, patience)):
            patience.check(REPLY_TIMEOUT_SECONDS, "the site does not answer")
            bus.beat("")
    finally:
        bus.close()


def send_command(settings: Settings, name: CommandName, job: str = "", **arguments: str) -> int:
    """Sends a command, shows its job's progress and its answer; exit code 0 when it went well."""
    transaction = uuid.uuid4().hex[:12]
    answers: list[Response] = []

    def heard(message: Message) -> bool:
        if isinstance(message, Progress) and message.job == job:
            print(f"{message.step}/{message.of} {message.text}", flush=True)
        if isinstance(message, Response) and message.transaction == transaction:
            answers.append(message)
        return bool(answers)

    publish_and_wait(settings, [Command(settings.site.name, name, transaction, arguments)], heard)
    print(answers[-1].text)
    return 0 if answers[-1].ok else 1


def _received(bus: MqttBus, patience: IdleTimeout) -> Iterator[Message]:
    for message in _drain(bus):
        if not isinstance(message, Status):
            patience.reset()
        yield message


def _drain(bus: MqttBus) -> Iterator[Message]:
    for delivery in bus.receive(1000, 0.5):
        delivery.done()
        yield delivery.message
