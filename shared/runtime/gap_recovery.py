"""Gives a live service its readings without gaps, whatever the broker has lost."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, cast

from shared.contract.messages import Message, Progress, Reading, Tick
from shared.contract.service import Service, Unavailable
from shared.runtime.log import log

CHECK_EVERY_BATCHES = 10
"""Batches after a gap was met from which on stored history is asked for what is missing."""
GAP_TIMEOUT_TICKS = 10
"""Ticks after which the service goes on without it."""
MAX_HELD_READINGS = 20_000
"""Readings that wait; ingest sends no more ahead of what is stored."""
MAX_START_RETRIES = 300
"""Seconds that a start waits for what is missing in stored history."""
BACKFILL_EVERY_TICKS = 2
"""Ticks between two looks at what the service owes."""
SETTLE_BATCHES = 20
"""Batches between two such looks behind a new connection: the broker may have forgotten what it had confirmed."""


class StoredHistory(Protocol):
    """Stored history."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Meanwhile all that is read is of one instant."""
        ...

    def stored_mark(self) -> tuple[str, int] | None:
        """Up to which number of which spool all readings are there."""
        ...

    def is_gapless(self) -> bool:
        """Whether nothing is stored behind a gap."""
        ...


class GapRecovery:
    """Readings behind a gap in ingest's numbers wait until what is missing has been sent again, or has been stored:

    then the service starts anew from stored history, which gives what it owes, and goes on.
    """

    def __init__(
        self,
        service: Service,
        history: StoredHistory,
        oldest_missing_output: Callable[[], Hashable],
        connections: Callable[[], int],
    ) -> None:
        """`owed` names the oldest thing that history lacks, falsy when none; `connections` counts the broker's."""
        self.name, self.consumes, self.produces = service.name, service.consumes, service.produces
        self.commands = service.commands
        self._service, self._history, self._oldest_missing_output, self._connections = (
            service,
            history,
            oldest_missing_output,
            connections,
        )
        self._start_retries = 0
        self._last_reading: tuple[str, int] = ("", -1)
        self._held: deque[Reading] = deque()
        self._batches_waited = self._ticks = self._ticks_waited = 0
        self._connection = self._batches_since_connect = 0
        """Newest connection, and batches since it."""
        self._last_missing: Hashable = None

    def start(self) -> Iterator[Message]:
        with self._history.snapshot():
            if not self._history.is_gapless() and self._start_retries < MAX_START_RETRIES:
                self._start_retries += 1
                raise Unavailable("readings are missing in stored history; they are being sent again")
            yield from self._start_service()

    def _start_service(self) -> Iterator[Message]:
        """Within a snapshot: what the service then knows is what is stored up to the mark."""
        self._last_reading = self._history.stored_mark() or self._last_reading
        yield from self._service.start()

    def handle(self, message: Message) -> Iterable[Message]:
        if isinstance(message, Reading):
            return self._on_reading(message)
        if isinstance(message, Tick):
            return self._on_tick(message)
        if isinstance(message, Progress):
            return self._on_import(message)
        return self._service.handle(message)

    def _on_import(self, progress: Progress) -> Iterator[Message]:
        """An import may make the service begin anew: then it knows what is stored up to the mark."""
        with self._history.snapshot():
            if progress.job == "import" and progress.step == progress.of:
                self._last_reading = self._history.stored_mark() or self._last_reading
            yield from self._service.handle(progress)

    def end_batch(self) -> Iterator[Message]:
        if self._held:
            self._batches_waited += 1
            if self._batches_waited % CHECK_EVERY_BATCHES == 0:
                yield from self._recover_from_history()
        else:
            yield from self._check_after_connect()
        yield from self._service.end_batch()

    def _check_after_connect(self) -> Iterator[Message]:
        if (now := self._connections()) != self._connection:
            self._connection, self._batches_since_connect, self._last_missing = now, 0, None
        self._batches_since_connect += 1
        if self._batches_since_connect in (SETTLE_BATCHES, 2 * SETTLE_BATCHES):
            yield from self._backfill_if_missing()

    def _on_reading(self, reading: Reading) -> Iterator[Message]:
        boot_id, last = self._last_reading
        if reading.boot_id == boot_id and reading.seq <= last:
            # Said again: it may be older than what a service remembers; what it never had it owes (_look_back).
            return
        before = reading.seq - 1 if reading.after is None else reading.after
        if reading.boot_id == boot_id and before > last:
            if not self._held:
                log(self.name, "readings are missing", logging.WARNING, first=last + 1, last=before)
                self._batches_waited = self._ticks_waited = 0
            self._held.append(reading)
            if len(self._held) >= MAX_HELD_READINGS:
                log(self.name, "goes on without what is missing", logging.ERROR, first=last + 1)
                yield from self._give_up_waiting()
            return
        if reading.boot_id != boot_id:
            yield from self._give_up_waiting()
        self._last_reading = (
            reading.boot_id,
            max(reading.seq, self._last_reading[1] if reading.boot_id == boot_id else -1),
        )
        yield from self._service.handle(reading)
        if self._held:
            yield from self._drain_held()

    def _drain_held(self) -> Iterator[Message]:
        """Lets pass what no longer waits; what came later and what was sent again may be mixed."""
        waiting = sorted(self._held, key=lambda reading: reading.seq)
        self._held.clear()
        for reading in waiting:
            before = reading.seq - 1 if reading.after is None else reading.after
            if before <= self._last_reading[1]:
                self._last_reading = (reading.boot_id, max(reading.seq, self._last_reading[1]))
                yield from self._service.handle(reading)
            else:
                self._held.append(reading)

    def _recover_from_history(self) -> Iterator[Message]:
        """Starts anew when all that is missing is stored."""
        first = min(reading.seq for reading in self._held)
        with self._history.snapshot():
            mark = self._history.stored_mark()
            if not mark or mark[0] != self._last_reading[0] or mark[1] < first - 1 or not self._history.is_gapless():
                return
            log(self.name, "takes what was missing from stored history", logging.WARNING, up_to=mark[1])
            yield from self._start_service()
        yield from self._drain_held()

    def _backfill_if_missing(self) -> Iterator[Message]:
        """Makes up for what is owed at two looks in a row; the first time it may be on its way."""
        with self._history.snapshot():
            missing = self._oldest_missing_output()
            if missing and missing == self._last_missing and self._history.is_gapless():
                log(self.name, "makes up for what it owes", logging.WARNING, debt=str(missing))
                yield from self._start_service()
        self._last_missing = missing

    def _give_up_waiting(self) -> Iterator[Message]:
        held = sorted(self._held, key=lambda reading: reading.seq)
        self._held.clear()
        for reading in held:
            self._last_reading = (reading.boot_id, reading.seq)
            yield from self._service.handle(reading)

    def _on_tick(self, tick: Tick) -> Iterator[Message]:
        self._ticks += 1
        if self._held:
            # A tick that overtakes the readings of its minute would make an hour without them, or a silence.
            self._ticks_waited += 1
            if self._ticks_waited <= GAP_TIMEOUT_TICKS:
                return
            log(self.name, "goes on without what is missing", logging.ERROR, first=self._last_reading[1] + 1)
            yield from self._give_up_waiting()
        elif self._ticks % BACKFILL_EVERY_TICKS == 0:
            yield from self._backfill_if_missing()
        yield from self._service.handle(tick)


def with_gap_recovery(
    service: Service,
    history: StoredHistory,
    oldest_missing_output: Callable[[], Hashable],
    connections: Callable[[], int],
) -> Service:
    """The service behind an Unbroken."""
    return cast(Service, GapRecovery(service, history, oldest_missing_output, connections))
