"""The operator's side of the broker: what the commands say to a running site, and wait to hear."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Literal

from shared.contract.messages import Command, History, Message, Progress, Response, Status
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings


class Operator:
    """Declares what the broker user `operator` may say and hear."""

    name: ClassVar[str] = "operator"
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Response, Status)
    produces: ClassVar[tuple[type[Message], ...]] = (Command, History)
    commands: ClassVar[tuple[str, ...]] = ()

    def start(self) -> Iterable[Message]:
        return ()

    def handle(self, message: Message) -> Iterable[Message]:  # noqa: ARG002
        return ()

    def settle(self) -> Iterable[Message]:
        return ()


def converse(settings: Settings, say: Iterable[Message], heard: Callable[[Message], bool]) -> None:
    """Publishes messages, then listens until `heard` returns True for one that came after."""
    bus = MqttBus("operator", settings)
    bus.open(Operator())
    try:
        for _ in _all_waiting(bus):
            pass
        for message in say:
            bus.publish(message)
        bus.confirm()
        while not any(heard(message) for message in _all_waiting(bus)):
            bus.beat("")
    finally:
        bus.close()


def ask(
    settings: Settings, name: Literal["train", "silence", "backup"], job: str, arguments: dict[str, str] | None = None
) -> int:
    """Sends a command, shows its job's progress and its answer; exit code 0 when it went well."""
    transaction = uuid.uuid4().hex[:12]
    answers: list[Response] = []

    def heard(message: Message) -> bool:
        if isinstance(message, Progress) and message.job == job:
            print(f"{message.step}/{message.of} {message.text}", flush=True)
        if isinstance(message, Response) and message.transaction == transaction:
            answers.append(message)
        return bool(answers)

    converse(settings, [Command(settings.site.name, name, transaction, arguments or {})], heard)
    print(answers[-1].text)
    return 0 if answers[-1].ok else 1


def _all_waiting(bus: MqttBus) -> Iterator[Message]:
    for delivery in bus.receive(1000, 0.5):
        delivery.done()
        yield delivery.message
