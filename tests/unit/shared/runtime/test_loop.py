"""The loop's promises: nothing is acknowledged before it is safe, and no message stops a service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from shared.contract.codec import encode
from shared.contract.messages import Message, Progress, Rejected, Tick
from shared.contract.service import Unavailable
from shared.runtime.bus import MemoryBroker, MemoryBus
from shared.runtime.loop import process_batch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeService:
    """Answers each tick with a progress; stumbles over minute 3 as often as it is told to."""

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
        yield Progress("site1", message.at, "training", message.at.minute, 9, None, "")

    def end_batch(self) -> Iterable[Message]:
        if self.locked:
            raise Unavailable("the database is locked")
        return ()


class FakeInvalidService(FakeService):
    """Says what breaks the contract at minute 3."""

    def handle(self, message: Message) -> Iterator[Message]:
        for said in super().handle(message):
            assert isinstance(said, Progress)
            yield replace(said, text="x" * 5000) if said.step == 3 else said


class FakeValidatingBus(MemoryBus):
    """Checks what is said, as the live one does."""

    def publish(self, message: Message) -> None:
        encode(message)
        super().publish(message)


class FakeObserver(FakeService):
    name: ClassVar[str] = "watcher"
    consumes: ClassVar[tuple[type[Message], ...]] = (Progress, Rejected)


def stage(service: FakeService) -> tuple[MemoryBus, MemoryBus]:
    """Buses of the service and of a watcher, with five ticks waiting."""
    broker = MemoryBroker()
    bus, watcher = MemoryBus(broker), MemoryBus(broker)
    bus.open(service)
    watcher.open(FakeObserver())
    for minute in range(1, 6):
        broker.publish(Tick("site1", NOON + timedelta(minutes=minute)))
    return bus, watcher


def said(watcher: MemoryBus) -> list[Message]:
    return [delivery.message for delivery in watcher.receive(100)]


def steps(messages: list[Message]) -> list[int]:
    return [message.step for message in messages if isinstance(message, Progress)]


def test_a_handler_that_fails_once_is_tried_again() -> None:
    service = FakeService(failures=1)
    bus, watcher = stage(service)
    process_batch(service, bus, bus.receive(100))
    assert steps(said(watcher)) == [1, 2, 3, 4, 5]


def test_a_message_that_fails_twice_goes_to_rejected_and_the_others_go_on() -> None:
    service = FakeService(failures=2)
    bus, watcher = stage(service)
    process_batch(service, bus, bus.receive(100))
    messages = said(watcher)
    assert steps(messages) == [1, 2, 4, 5]
    rejected = [message for message in messages if isinstance(message, Rejected)]
    assert ["minute three" in message.reason for message in rejected] == [True]
    bus.close()
    bus.open(service)
    assert not bus.receive(100)


def test_nothing_is_acknowledged_while_the_work_is_not_safe() -> None:
    service = FakeService(locked=True)
    bus, _ = stage(service)
    with pytest.raises(Unavailable):
        process_batch(service, bus, bus.receive(100))
    bus.close()
    bus.open(service)
    assert len(bus.receive(100)) == 5


def test_what_may_not_be_said_is_rejected_in_its_place_and_the_service_goes_on() -> None:
    broker = MemoryBroker()
    service, bus, watcher = FakeInvalidService(), FakeValidatingBus(broker), MemoryBus(broker)
    bus.open(service)
    watcher.open(FakeObserver())
    for minute in range(1, 6):
        broker.publish(Tick("site1", NOON + timedelta(minutes=minute)))
    process_batch(service, bus, bus.receive(9))
    said = [delivery.message for delivery in watcher.receive(9)]
    assert [type(message) for message in said] == [Progress, Progress, Rejected, Progress, Progress]
    assert said[2].source == "echo: Progress"
    assert "may not be said: text" in said[2].reason
    assert not bus.receive(9)
