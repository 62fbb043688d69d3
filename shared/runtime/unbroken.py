"""Gives a live service its readings without gaps, whatever the broker has lost."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, cast

from shared.contract.messages import Message, Progress, Reading, Tick
from shared.runtime.log import log
from shared.runtime.service import Service, Unavailable

LOOK = 10
"""Batches after a gap was met from which on stored history is asked for what is missing."""
PATIENCE = 10
"""Ticks after which the service goes on without it."""
MOST_HELD = 20_000
"""Readings that wait; ingest sends no more ahead of what is stored."""
TRIES = 300
"""Seconds that a start waits for what is missing in stored history."""
LOOK_BACK = 2
"""Ticks between two looks at what the service owes."""
QUIET = 20
"""Batches between two such looks behind a new connection: the broker may have forgotten what it had confirmed."""


class Stored(Protocol):
    """Stored history."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Meanwhile all that is read is of one instant."""
        ...

    def mark(self) -> tuple[str, int] | None:
        """Up to which number of which spool all readings are there."""
        ...

    def whole(self) -> bool:
        """Whether nothing is stored behind a gap."""
        ...


class Unbroken:
    """Readings behind a gap in ingest's numbers wait until what is missing has been sent again, or has been stored:

    then the service starts anew from stored history, which gives what it owes, and goes on.
    """

    def __init__(
        self, service: Service, stored: Stored, owed: Callable[[], Hashable], connections: Callable[[], int]
    ) -> None:
        """`owed` names the oldest thing that history lacks, falsy when none; `connections` counts the broker's."""
        self.name, self.consumes, self.produces = service.name, service.consumes, service.produces
        self.commands = service.commands
        self._service, self._stored, self._owed, self._connections = service, stored, owed, connections
        self._tries = 0
        self._last: tuple[str, int] = ("", -1)
        self._held: deque[Reading] = deque()
        self._looks = self._ticks = self._waited = 0
        self._connected = self._since = 0
        """Newest connection, and batches since it."""
        self._debt: Hashable = None

    def start(self) -> Iterator[Message]:
        with self._stored.snapshot():
            if not self._stored.whole() and self._tries < TRIES:
                self._tries += 1
                raise Unavailable("readings are missing in stored history; they are being sent again")
            yield from self._start()

    def _start(self) -> Iterator[Message]:
        """Within a snapshot: what the service then knows is what is stored up to the mark."""
        self._last = self._stored.mark() or self._last
        yield from self._service.start()

    def handle(self, message: Message) -> Iterable[Message]:
        if isinstance(message, Reading):
            return self._read(message)
        if isinstance(message, Tick):
            return self._tick(message)
        if isinstance(message, Progress):
            return self._look_anew(message)
        return self._service.handle(message)

    def _look_anew(self, progress: Progress) -> Iterator[Message]:
        """An import may make the service begin anew: then it knows what is stored up to the mark."""
        with self._stored.snapshot():
            if progress.job == "import" and progress.step == progress.of:
                self._last = self._stored.mark() or self._last
            yield from self._service.handle(progress)

    def settle(self) -> Iterator[Message]:
        if self._held:
            self._looks += 1
            if self._looks % LOOK == 0:
                yield from self._catch_up()
        else:
            yield from self._after_connecting()
        yield from self._service.settle()

    def _after_connecting(self) -> Iterator[Message]:
        if (now := self._connections()) != self._connected:
            self._connected, self._since, self._debt = now, 0, None
        self._since += 1
        if self._since in (QUIET, 2 * QUIET):
            yield from self._look_back()

    def _read(self, reading: Reading) -> Iterator[Message]:
        boot_id, last = self._last
        if reading.boot_id == boot_id and reading.seq <= last:
            # Said again: it may be older than what a service remembers; what it never had it owes (_look_back).
            return
        before = reading.seq - 1 if reading.after is None else reading.after
        if reading.boot_id == boot_id and before > last:
            if not self._held:
                log(self.name, "readings are missing", logging.WARNING, first=last + 1, last=before)
                self._looks = self._waited = 0
            self._held.append(reading)
            if len(self._held) >= MOST_HELD:
                log(self.name, "goes on without what is missing", logging.ERROR, first=last + 1)
                yield from self._go_on()
            return
        if reading.boot_id != boot_id:
            yield from self._go_on()
        self._last = (reading.boot_id, max(reading.seq, self._last[1] if reading.boot_id == boot_id else -1))
        yield from self._service.handle(reading)
        if self._held:
            yield from self._release()

    def _release(self) -> Iterator[Message]:
        """Lets pass what no longer waits; what came later and what was sent again may be mixed."""
        waiting = sorted(self._held, key=lambda reading: reading.seq)
        self._held.clear()
        for reading in waiting:
            before = reading.seq - 1 if reading.after is None else reading.after
            if before <= self._last[1]:
                self._last = (reading.boot_id, max(reading.seq, self._last[1]))
                yield from self._service.handle(reading)
            else:
                self._held.append(reading)

    def _catch_up(self) -> Iterator[Message]:
        """Starts anew when all that is missing is stored."""
        first = min(reading.seq for reading in self._held)
        with self._stored.snapshot():
            mark = self._stored.mark()
            if not mark or mark[0] != self._last[0] or mark[1] < first - 1 or not self._stored.whole():
                return
            log(self.name, "takes what was missing from stored history", logging.WARNING, up_to=mark[1])
            yield from self._start()
        yield from self._release()

    def _look_back(self) -> Iterator[Message]:
        """Makes up for what is owed at two looks in a row; the first time it may be on its way."""
        with self._stored.snapshot():
            debt = self._owed()
            if debt and debt == self._debt and self._stored.whole():
                log(self.name, "makes up for what it owes", logging.WARNING, debt=str(debt))
                yield from self._start()
        self._debt = debt

    def _go_on(self) -> Iterator[Message]:
        held = sorted(self._held, key=lambda reading: reading.seq)
        self._held.clear()
        for reading in held:
            self._last = (reading.boot_id, reading.seq)
            yield from self._service.handle(reading)

    def _tick(self, tick: Tick) -> Iterator[Message]:
        self._ticks += 1
        if self._held:
            # A tick that overtakes the readings of its minute would make an hour without them, or a silence.
            self._waited += 1
            if self._waited <= PATIENCE:
                return
            log(self.name, "goes on without what is missing", logging.ERROR, first=self._last[1] + 1)
            yield from self._go_on()
        elif self._ticks % LOOK_BACK == 0:
            yield from self._look_back()
        yield from self._service.handle(tick)


def unbroken(service: Service, stored: Stored, owed: Callable[[], Hashable], connections: Callable[[], int]) -> Service:
    """The service behind an Unbroken."""
    return cast(Service, Unbroken(service, stored, owed, connections))
