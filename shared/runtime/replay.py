"""All services in one process over recorded minutes, in event time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.contract.messages import Message
from shared.runtime.bus import Delivery, MemoryBroker, MemoryBus
from shared.runtime.run import work
from shared.runtime.service import Service

MINUTE = timedelta(minutes=1)
DOUBTED = timedelta(hours=1)
"""A leap this far ahead is taken for a clock fault when the next reading is back again."""
BATCH = 4000


class Timed(Protocol):
    """A measurement as far as a replay cares."""

    @property
    def at(self) -> datetime: ...


class Replay:
    """Runs services over a MemoryBroker. The keen ones take each message at once; the storing one takes batches."""

    def __init__(self, keen: Sequence[Service], storing: Service) -> None:
        broker = MemoryBroker()
        self._broker = broker
        self._keen = [(service, _open(service, broker)) for service in keen]
        self._storing = (storing, _open(storing, broker))
        for service, bus in (self._storing, *self._keen):
            for message in service.start():
                bus.publish(message)
        self.flow()

    def feed(self, service: Service, items: Iterable[Any]) -> None:
        """Hands items to a service as its source would, and lets all that follows flow."""
        bus = next(bus for one, bus in self._keen if one is service)
        work(service, bus, [Delivery(item, _nothing) for item in items])
        self.flow()

    def say(self, message: Message) -> None:
        """Publishes a message from outside, and lets all that follows flow."""
        self._broker.publish(message)
        self.flow()

    def flow(self) -> None:
        """Delivers until nobody has anything to say; stores when much is waiting."""
        busy = True
        while busy:
            busy = False
            for service, bus in self._keen:
                if bus.waiting:
                    work(service, bus, bus.receive(BATCH))
                    busy = True
        if len(self._broker.sessions[self._storing[0].name].inbox) >= BATCH:
            self.store()

    def store(self) -> None:
        """Stores all that is waiting."""
        service, bus = self._storing
        while deliveries := bus.receive(BATCH):
            work(service, bus, deliveries)


def by_minute(items: Iterable[Timed | Any]) -> Iterator[tuple[list[Any], datetime | None]]:
    """Items in order, cut where a minute ends: (items, minute that closes after them).

    Items without `at` go with their neighbours. A minute closes once; gaps close their minutes one by one.
    """
    waiting: list[Any] = []
    now: datetime | None = None
    for item, following in _with_next(items):
        at = getattr(item, "at", None)
        if at is not None and (now is None or (at > now and not _doubtful(at, now, following))):
            while now is not None and now < at:
                yield waiting, now
                waiting, now = [], now + MINUTE
            now = at
        waiting.append(item)
    yield waiting, now


def _doubtful(at: datetime, now: datetime, following: Any) -> bool:
    back = getattr(following, "at", None)
    return at - now > DOUBTED and back is not None and back < at - DOUBTED / 2


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
