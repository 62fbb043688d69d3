"""The operator's side of the broker: what the commands say to a running site, and wait to hear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from shared.contract.messages import Command, History, Message, Progress, Response
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings


class Operator:
    """Declares what the broker user `operator` may say and hear."""

    name: ClassVar[str] = "operator"
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Response)
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


def _all_waiting(bus: MqttBus) -> Iterator[Message]:
    for delivery in bus.receive(1000, 0.5):
        delivery.done()
        yield delivery.message
