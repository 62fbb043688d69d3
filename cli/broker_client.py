"""The broker user `operator`: commands publish to a running site and wait for its replies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from cli.bootstrap import CommandError
from shared.contract.messages import (
    Command,
    CommandName,
    HistoryAnswer,
    HistoryBatch,
    Message,
    Progress,
    Response,
    Status,
)
from shared.contract.texts import localized
from shared.runtime.history_sender import HistorySender
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings

BROKER_TIMEOUT_SECONDS = 60
"""Without a broker connection for so long, a command fails."""
REPLY_TIMEOUT_SECONDS = 600
"""Without a message of the site for so long, a command fails."""
ANSWER_ROUND_SECONDS = 10
"""A round of HistorySender: the first unanswered parts are sent again after two."""


class Operator:
    """Declare what the broker user `operator` may publish and receive."""

    name: ClassVar[str] = "operator"
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Response, Status, HistoryAnswer)
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


@contextmanager
def _connected(settings: Settings) -> Iterator[tuple[MqttBus, IdleTimeout]]:
    """Yield a connected bus without old messages. Raises CommandError if the broker is away for a minute."""
    bus, idle = MqttBus("operator", settings, temporary=True), IdleTimeout()
    try:
        bus.open(Operator(), lambda: idle.check(BROKER_TIMEOUT_SECONDS, "the broker does not answer"))
        for _ in _drain(bus):
            pass
        idle.reset()
        yield bus, idle
    finally:
        bus.close()


def send_history(settings: Settings, sender: HistorySender) -> None:
    """Send past readings until each part is stored.

    Raises CommandError without a broker for a minute, after ten minutes without an answer, and if db_writer can't store
    a part.
    """
    with _connected(settings) as (bus, idle):
        round_ends = time.monotonic() + ANSWER_ROUND_SECONDS
        try:
            while not sender.is_complete:
                for part in sender.next_parts():
                    bus.publish(part)
                bus.confirm()
                for message in _drain(bus):
                    if isinstance(message, HistoryAnswer) and sender.on_answer(message):
                        idle.reset()
                        round_ends = time.monotonic() + ANSWER_ROUND_SECONDS
                if time.monotonic() >= round_ends:
                    sender.on_round()
                    round_ends = time.monotonic() + ANSWER_ROUND_SECONDS
                idle.check(REPLY_TIMEOUT_SECONDS, "the site does not answer")
                bus.heartbeat(())
        except CommandError as error:
            raise CommandError(f"{error}\n{_incomplete(sender)}") from error
    if sender.rejected:
        reasons = "; ".join(dict.fromkeys(answer.reason.en for answer in sender.rejected))
        raise CommandError(f"db_writer could not store {len(sender.rejected)} parts: {reasons}\n{_incomplete(sender)}")


def _incomplete(sender: HistorySender) -> str:
    """Return in Korean and English how much of a history is stored."""
    text = localized(
        "{of}개 중 {stored}개 부분만 저장되었습니다. 저장된 값은 유지되므로 같은 파일을 다시 가져오십시오.",
        "only {stored} of {of} parts are stored. Import the same file again; what is stored is kept.",
        of=sender.parts,
        stored=sender.answered - len(sender.rejected),
    )
    return f"{text.ko}\n{text.en}"


def publish_and_wait(settings: Settings, message: Message, is_last: Callable[[Message], bool]) -> None:
    """Publish a message, then receive until `is_last` returns True.

    Raises CommandError without a broker, and after ten minutes with no message except statuses.
    """
    with _connected(settings) as (bus, idle):
        bus.publish(message)
        bus.confirm()
        idle.reset()
        while not any(is_last(received) for received in _received(bus, idle)):
            idle.check(REPLY_TIMEOUT_SECONDS, "the site does not answer")
            bus.heartbeat(())


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

    publish_and_wait(settings, Command(settings.site.name, name, transaction, arguments), is_last)
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
