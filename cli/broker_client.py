"""The broker user `operator`: commands publish to a running site and wait for its replies."""

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
"""Without a broker connection for so long, a command fails."""
REPLY_TIMEOUT_SECONDS = 600
"""Without a message of the site for so long, a command fails."""


class Operator:
    """Declare what the broker user `operator` may publish and receive."""

    name: ClassVar[str] = "operator"
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Response, Status)
    produces: ClassVar[tuple[type[Message], ...]] = (Command, HistoryBatch)
    commands: ClassVar[tuple[str, ...]] = ()

    def start(self) -> Iterable[Message]:
        return ()

    def handle(self, message: Message) -> Iterable[Message]:  # noqa: ARG002
        return ()

    def end_batch(self) -> Iterable[Message]:
        return ()


class IdleTimeout:
    """Measure the time since the last message."""

    def __init__(self) -> None:
        self._last_message_at = time.monotonic()

    def reset(self) -> None:
        """Restart the measurement."""
        self._last_message_at = time.monotonic()

    def check(self, seconds: float, what: str) -> None:
        """Raise CommandError if the last message is older than `seconds`."""
        if time.monotonic() - self._last_message_at >= seconds:
            raise CommandError(f"{what} for {seconds:.0f} s; see ./wvr status and ./wvr doctor")


def publish_and_wait(settings: Settings, messages: Iterable[Message], is_last: Callable[[Message], bool]) -> None:
    """Publish messages, then receive until `is_last` returns True.

    Raises CommandError without a broker, and after ten minutes with no message except statuses.
    """
    bus, idle = MqttBus("operator", settings), IdleTimeout()
    try:
        bus.open(Operator(), lambda: idle.check(BROKER_TIMEOUT_SECONDS, "the broker does not answer"))
        for _ in _drain(bus):
            pass
        idle.reset()
        for message in messages:
            bus.publish(message)
        bus.confirm()
        idle.reset()
        while not any(is_last(message) for message in _received(bus, idle)):
            idle.check(REPLY_TIMEOUT_SECONDS, "the site does not answer")
            bus.heartbeat(())
    finally:
        bus.close()


def send_command(settings: Settings, name: CommandName, job: str = "", **arguments: str) -> int:
    """Send a command, print the progress of its job and its response. Return 0 if it succeeded, else 1."""
    transaction = uuid.uuid4().hex[:12]
    responses: list[Response] = []

    def is_last(message: Message) -> bool:
        if isinstance(message, Progress) and message.job == job:
            print(f"{message.step}/{message.of} {message.text.en}", flush=True)
        if isinstance(message, Response) and message.transaction == transaction:
            responses.append(message)
        return bool(responses)

    publish_and_wait(settings, [Command(settings.site.name, name, transaction, arguments)], is_last)
    print(responses[-1].text.en)
    return 0 if responses[-1].ok else 1


def _received(bus: MqttBus, idle: IdleTimeout) -> Iterator[Message]:
    for message in _drain(bus):
        if not isinstance(message, Status):
            idle.reset()
        yield message


def _drain(bus: MqttBus) -> Iterator[Message]:
    for delivery in bus.receive(1000, 0.5):
        delivery.acknowledge()
        yield delivery.message
