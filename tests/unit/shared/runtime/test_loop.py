"""The loop acknowledges nothing before it is safe, and no message stops a service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from shared.contract.codec import encode
from shared.contract.messages import LocalizedText, Message, Progress, Rejected, Tick
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.runtime.bus import MemoryBroker, MemoryBus
from shared.runtime.loop import process_batch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeService:
    """Answers each tick with a progress; fails at minute 3 a given number of times."""

    name: ClassVar[str] = "echo"
    consumes: ClassVar[tuple[type[Message], ...]] = (Tick,)
    produces: ClassVar[tuple[type[Message], ...]] = (Progress,)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self, failures: int = 0, locked: bool = False) -> None:
        self.failures, self.locked = failures, locked

    def start(self) -> Iterable[Message]:
        return ()

    def handle(self, message: Message) -> Iterator[Message]:
        assert isinstance(message, Tick)
        if message.at.minute == 3 and self.failures:
            self.failures -= 1
            raise ValueError("minute three")
        yield Progress(
            site="site1", at=message.at, job="training", step=message.at.minute, of=9, eta=None, text=technical("")
        )

    def end_batch(self) -> Iterable[Message]:
        if self.locked:
            raise Unavailable(problem("database_locked"))
        return ()


class FakeInvalidService(FakeService):
    """Violates the contract at minute 3."""

    def handle(self, message: Message) -> Iterator[Message]:
        for progress in super().handle(message):
            assert isinstance(progress, Progress)
            yield replace(progress, text=LocalizedText("x" * 5000, "")) if progress.step == 3 else progress


class FakeValidatingBus(MemoryBus):
    """Validates messages, as the live bus does."""

    def publish(self, message: Message) -> None:
        encode(message)
        super().publish(message)


class FakeObserver(FakeService):
    name: ClassVar[str] = "watcher"
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Rejected)


def open_buses(service: FakeService) -> tuple[MemoryBus, MemoryBus]:
    """Return buses of the service and of an observer, with five ticks waiting."""
    broker = MemoryBroker()
    bus, watcher = MemoryBus(broker), MemoryBus(broker)
    bus.open(service)
    watcher.open(FakeObserver())
    for minute in range(1, 6):
        broker.publish(Tick("site1", NOON + timedelta(minutes=minute)))
    return bus, watcher


def received(watcher: MemoryBus) -> list[Message]:
    return [delivery.message for delivery in watcher.receive(100)]


def steps(messages: list[Message]) -> list[int]:
    return [message.step for message in messages if isinstance(message, Progress)]


def test_handler_that_fails_once_is_retried() -> None:
    service = FakeService(failures=1)
    bus, watcher = open_buses(service)
    process_batch(service, bus, bus.receive(100))
    assert steps(received(watcher)) == [1, 2, 3, 4, 5]


def test_message_that_fails_twice_is_rejected_and_the_others_continue() -> None:
    service = FakeService(failures=2)
    bus, watcher = open_buses(service)
    process_batch(service, bus, bus.receive(100))
    messages = received(watcher)
    assert steps(messages) == [1, 2, 4, 5]
    rejected = [message for message in messages if isinstance(message, Rejected)]
    assert ["minute three" in message.reason.en for message in rejected] == [True]
    bus.close()
    bus.open(service)
    assert not bus.receive(100)


def test_nothing_is_acknowledged_before_it_is_safe() -> None:
    service = FakeService(locked=True)
    bus, _ = open_buses(service)
    with pytest.raises(Unavailable):
        process_batch(service, bus, bus.receive(100))
    bus.close()
    bus.open(service)
    assert len(bus.receive(100)) == 5


def test_invalid_outgoing_message_is_rejected_and_the_service_continues() -> None:
    broker = MemoryBroker()
    service, bus, watcher = FakeInvalidService(), FakeValidatingBus(broker), MemoryBus(broker)
    bus.open(service)
    watcher.open(FakeObserver())
    for minute in range(1, 6):
        broker.publish(Tick("site1", NOON + timedelta(minutes=minute)))
    process_batch(service, bus, bus.receive(9))
    received = [delivery.message for delivery in watcher.receive(9)]
    assert [type(message) for message in received] == [Progress, Progress, Rejected, Progress, Progress]
    assert received[2].source == "echo: Progress"
    assert "message violates the contract: text" in received[2].reason.en
    assert not bus.receive(9)
