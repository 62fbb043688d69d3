"""Gives a live service its readings without gaps, even if the broker lost some."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, cast

from shared.contract.messages import Message, Progress, Reading, Tick
from shared.contract.service import Service, Unavailable
from shared.contract.status_codes import problem
from shared.runtime.log import log

CHECK_EVERY_BATCHES = 10
"""Batches after a gap between two checks of stored history."""
GAP_TIMEOUT_TICKS = 10
"""Ticks after which the service continues without the missing readings."""
MAX_HELD_READINGS = 20_000
"""Readings held behind a gap; ingest publishes no more ahead of what is stored."""
MAX_START_RETRIES = 300
"""Attempts, one per second, that a start waits for readings that are missing in stored history."""
BACKFILL_EVERY_TICKS = 2
"""Ticks between two checks for missing output."""
SETTLE_BATCHES = 20
"""Batches between two such checks after a new connection: the broker may have lost messages that it had confirmed."""


class StoredHistory(Protocol):
    """Stored history."""

    def snapshot(self) -> AbstractContextManager[None]:
        """All reads inside are of one instant."""
        ...

    def stored_mark(self) -> tuple[str, int] | None:
        """Return boot_id and seq up to which all readings are stored."""
        ...

    def is_gapless(self) -> bool:
        """Whether no stored reading follows a gap."""
        ...


class GapRecovery:
    """Holds readings behind a gap in `seq` until the missing ones are retransmitted or stored.

    If they are stored, the service restarts from stored history, which also yields its missing output.
    """

    def __init__(
        self,
        service: Service,
        history: StoredHistory,
        oldest_missing_output: Callable[[], Hashable],
        connections: Callable[[], int],
    ) -> None:
        """`oldest_missing_output` names the oldest output that is missing in history; falsy if none.

        `connections` counts the connections to the broker.
        """
        self.name, self.consumes, self.produces = service.name, service.consumes, service.produces
        self.commands = service.commands
        self._service, self._history, self._oldest_missing_output, self._connections = (
            service,
            history,
            oldest_missing_output,
            connections,
        )
        self._start_retries = 0
        self._last_import: Progress | None = None
        """A retained message that is delivered again must not move the mark: the service ignores it."""
        self._last_reading: tuple[str, int] = ("", -1)
        self._held: deque[Reading] = deque()
        self._batches_waited = self._ticks = self._ticks_waited = 0
        self._connection = self._batches_since_connect = 0
        """Newest connection, and batches since then."""
        self._last_missing: Hashable = None

    def start(self) -> Iterator[Message]:
        with self._history.snapshot():
            if not self._history.is_gapless() and self._start_retries < MAX_START_RETRIES:
                self._start_retries += 1
                raise Unavailable(problem("history_incomplete"))
            yield from self._start_service()

    def _start_service(self) -> Iterator[Message]:
        """Start the service inside a snapshot: it then knows the readings up to the stored mark."""
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
        """Process the end of an import: the service may restart and then knows the readings up to the stored mark."""
        with self._history.snapshot():
            if progress.job == "import" and progress.step == progress.of and progress != self._last_import:
                self._last_reading = self._history.stored_mark() or self._last_reading
            yield from self._service.handle(progress)
        self._last_import = progress  # only after success: the handler may raise Unavailable and is then repeated

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
            # Retransmitted readings may be older than the service's state; _backfill_if_missing covers missed ones.
            return
        previous = reading.seq - 1 if reading.after is None else reading.after
        if reading.boot_id == boot_id and previous > last:
            if not self._held:
                log(self.name, "readings_missing", logging.WARNING, first=last + 1, last=previous)
                self._batches_waited = self._ticks_waited = 0
            self._held.append(reading)
            if len(self._held) >= MAX_HELD_READINGS:
                log(self.name, "gap_abandoned", logging.ERROR, first=last + 1)
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
        """Process held readings that no longer wait; new and retransmitted ones may be mixed."""
        held = sorted(self._held, key=lambda reading: reading.seq)
        self._held.clear()
        for reading in held:
            previous = reading.seq - 1 if reading.after is None else reading.after
            if previous <= self._last_reading[1]:
                self._last_reading = (reading.boot_id, max(reading.seq, self._last_reading[1]))
                yield from self._service.handle(reading)
            else:
                self._held.append(reading)

    def _recover_from_history(self) -> Iterator[Message]:
        """Restart the service when all missing readings are stored."""
        first = min(reading.seq for reading in self._held)
        with self._history.snapshot():
            mark = self._history.stored_mark()
            if not mark or mark[0] != self._last_reading[0] or mark[1] < first - 1 or not self._history.is_gapless():
                return
            log(self.name, "gap_filled_from_history", logging.WARNING, last=mark[1])
            yield from self._start_service()
        yield from self._drain_held()

    def _backfill_if_missing(self) -> Iterator[Message]:
        """Restart the service if the same output is missing at two consecutive checks; before, it may be in transit."""
        with self._history.snapshot():
            missing = self._oldest_missing_output()
            if missing and missing == self._last_missing and self._history.is_gapless():
                log(self.name, "backfill_started", logging.WARNING, oldest=str(missing))
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
            # A tick ahead of the readings of its minute would close the hour without them, or raise a silence.
            self._ticks_waited += 1
            if self._ticks_waited <= GAP_TIMEOUT_TICKS:
                return
            log(self.name, "gap_abandoned", logging.ERROR, first=self._last_reading[1] + 1)
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
    """Return the service behind a GapRecovery."""
    return cast(Service, GapRecovery(service, history, oldest_missing_output, connections))
