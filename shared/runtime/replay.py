"""All services in one process over recorded minutes, in event time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.contract.messages import Message
from shared.contract.service import Service
from shared.runtime.bus import Delivery, MemoryBroker, MemoryBus
from shared.runtime.loop import process_batch

MINUTE = timedelta(minutes=1)
CLOCK_JUMP = timedelta(hours=1)
"""A leap this far ahead is taken for a clock fault when the next reading is back again."""
BATCH_SIZE = 4000


class Timed(Protocol):
    """A measurement as far as a replay cares."""

    @property
    def at(self) -> datetime: ...


class Replay:
    """Runs services over a MemoryBroker. The keen ones take each message at once; the storing one takes batches."""

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
        """Hands items to a service as its source would, and lets all that follows flow."""
        bus = next(bus for one, bus in self._immediate if one is service)
        process_batch(service, bus, [Delivery(item, _nothing) for item in items])
        self.drain()

    def publish(self, message: Message) -> None:
        """Publishes a message from outside, and lets all that follows flow."""
        self._broker.publish(message)
        self.drain()

    def drain(self) -> None:
        """Delivers until nobody has anything to say; stores when much is waiting."""
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
        """Stores all that is waiting."""
        service, bus = self._batched
        while deliveries := bus.receive(BATCH_SIZE):
            process_batch(service, bus, deliveries)


def group_by_minute(items: Iterable[Timed | Any]) -> Iterator[tuple[list[Any], datetime | None]]:
    """Items in order, cut where a minute ends: (items, minute that closes after them).

    Items without `at` go with their neighbours. A minute closes once; gaps close their minutes one by one.
    """
    waiting: list[Any] = []
    now: datetime | None = None
    for item, following in _with_next(items):
        at = getattr(item, "at", None)
        if at is not None and (now is None or (at > now and not _is_clock_jump(at, now, following))):
            while now is not None and now < at:
                yield waiting, now
                waiting, now = [], now + MINUTE
            now = at
        waiting.append(item)
    yield waiting, now


def _is_clock_jump(at: datetime, now: datetime, following: Any) -> bool:
    back = getattr(following, "at", None)
    return at - now > CLOCK_JUMP and back is not None and back < at - CLOCK_JUMP / 2


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


def _nothing() -> None:
    pass
