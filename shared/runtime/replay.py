"""All services in one process over recorded minutes, in event time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from shared.contract.messages import MAX_SENSORS, Message
from shared.contract.service import Service
from shared.domain.reading_clock import JUMP_MINUTES, JUMP_RUN
from shared.runtime.bus import Delivery, MemoryBroker, MemoryBus, noop
from shared.runtime.loop import process_batch

MINUTE = timedelta(minutes=1)
CLOCK_JUMP = timedelta(minutes=JUMP_MINUTES)
"""A jump this far ahead closes no minutes unless JUMP_RUN readings confirm it."""
CONFIRMED_JUMP = timedelta(days=1)
"""A farther jump needs as many readings; of a shorter one, less may follow at the end of a file."""
LOOKAHEAD_ITEMS = MAX_SENSORS * JUMP_RUN
SKIPPED_GAP, CLOSED_IN_GAP = timedelta(days=31), timedelta(days=8)
"""Of a longer gap without any reading only the first days close minute by minute: nothing happens in the others."""
BATCH_SIZE = 4000


class Timed(Protocol):
    """What a replay needs of a measurement."""

    @property
    def at(self) -> datetime: ...

    @property
    def sensor(self) -> str: ...


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


def group_by_minute(
    items: Iterable[Timed | Any], on_skip: Callable[[datetime, datetime], None] = lambda _start, _stop: None
) -> Iterator[tuple[list[Any], datetime | None]]:
    """Yield (items, minute that closes after them) in order.

    Items without `at` stay with their neighbours. A minute closes once; the minutes of a gap close one by one, except
    those of a gap of months, which are reported to `on_skip` (first and end).
    """
    group: list[Any] = []
    now: datetime | None = None
    for item, following in _with_following(items):
        at = getattr(item, "at", None)
        if at is not None and (now is None or (at > now and _is_believed(item, now, following))):
            closed_until = now + CLOSED_IN_GAP if now is not None and at - now > SKIPPED_GAP else at
            while now is not None and now < at:
                if now >= closed_until and now < at - MINUTE:
                    on_skip(now, at - MINUTE)
                    now = at - MINUTE
                yield group, now
                group, now = [], now + MINUTE
            now = at
        group.append(item)
    yield group, now


def _is_believed(item: Timed, now: datetime, following: Iterable[Any]) -> bool:
    """Return whether the next readings of a sensor go on from one that is ahead of all others."""
    if item.at - now <= CLOCK_JUMP:
        return True
    times = [later.at for later in following if getattr(later, "sensor", None) == item.sensor][: JUMP_RUN - 1]
    is_enough = len(times) == JUMP_RUN - 1 or item.at - now <= CONFIRMED_JUMP
    return is_enough and min(times, default=item.at) > item.at - CLOCK_JUMP / 2


def _with_following(items: Iterable[Any]) -> Iterator[tuple[Any, deque[Any]]]:
    """Yield each item with those after it."""
    source = iter(items)
    following = deque(islice(source, LOOKAHEAD_ITEMS))
    while following:
        current = following.popleft()
        following.extend(islice(source, 1))
        yield current, following


def _open(service: Service, broker: MemoryBroker) -> MemoryBus:
    bus = MemoryBus(broker)
    bus.open(service)
    return bus
