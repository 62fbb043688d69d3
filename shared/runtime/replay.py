"""All services in one process over recorded minutes, in event time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.contract.messages import Message
from shared.contract.service import Service
from shared.runtime.bus import Delivery, MemoryBroker, MemoryBus, noop
from shared.runtime.loop import process_batch

MINUTE = timedelta(minutes=1)
CLOCK_JUMP = timedelta(hours=1)
"""A jump this far ahead counts as a clock fault if the next reading is back again."""
BATCH_SIZE = 4000


class Timed(Protocol):
    """What a replay needs of a measurement."""

    @property
    def at(self) -> datetime: ...


class Replay:
    """Runs services over a MemoryBroker: immediate ones handle each message at once, the batched one in batches."""

    def __init__(self, immediate: Sequence[Service], batched: Service) -> None:
        broker = MemoryBroker()
        self._broker = broker
        self._immediate = [(service, _open(service, broker)) for service in immediate]
        self._batched = (batched, _open(batched, broker))
        for service, bus in (self._batched, *self._immediate):
            for message in service.start():
                bus.publish(message)
        self.drain()

    def feed(self, service: Service, items: Iterable[Any]) -> None:
        """Pass items to a service as its source would, and deliver all resulting messages."""
        bus = next(bus for candidate, bus in self._immediate if candidate is service)
        process_batch(service, bus, [Delivery(item, noop) for item in items])
        self.drain()

    def publish(self, message: Message) -> None:
        """Publish a message from outside, and deliver all resulting messages."""
        self._broker.publish(message)
        self.drain()

    def drain(self) -> None:
        """Deliver until no inbox has messages; store when a batch is full."""
        busy = True
        while busy:
            busy = False
            for service, bus in self._immediate:
                if bus.waiting:
                    process_batch(service, bus, bus.receive(BATCH_SIZE))
                    busy = True
        if len(self._broker.sessions[self._batched[0].name].inbox) >= BATCH_SIZE:
            self.store()

    def store(self) -> None:
        """Store all waiting messages."""
        service, bus = self._batched
        while deliveries := bus.receive(BATCH_SIZE):
            process_batch(service, bus, deliveries)


def group_by_minute(items: Iterable[Timed | Any]) -> Iterator[tuple[list[Any], datetime | None]]:
    """Yield (items, minute that closes after them) in order.

    Items without `at` stay with their neighbours. A minute closes once; the minutes of a gap close one by one.
    """
    group: list[Any] = []
    now: datetime | None = None
    for item, following in _with_next(items):
        at = getattr(item, "at", None)
        if at is not None and (now is None or (at > now and not _is_clock_jump(at, now, following))):
            while now is not None and now < at:
                yield group, now
                group, now = [], now + MINUTE
            now = at
        group.append(item)
    yield group, now


def _is_clock_jump(at: datetime, now: datetime, following: Any) -> bool:
    next_at = getattr(following, "at", None)
    return at - now > CLOCK_JUMP and next_at is not None and next_at < at - CLOCK_JUMP / 2


def _with_next(items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    source = iter(items)
    current = next(source, None)
    while current is not None:
        following = next(source, None)
        yield current, following
        current = following


def _open(service: Service, broker: MemoryBroker) -> MemoryBus:
    bus = MemoryBus(broker)
    bus.open(service)
    return bus
