"""Polls the source for measurements, and emits a Tick when a minute closes."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import schedule

from services.ingest.sources.line_reader import Measurement
from services.ingest.sources.registry import Source
from services.ingest.tick_clock import TickClock
from shared.contract.messages import Tick
from shared.domain.local_time import local_time
from shared.domain.series import MINUTE
from shared.runtime.bus import Delivery, noop
from shared.runtime.log import log

MAX_POLL_ITEMS = 1000
MAX_IN_FLIGHT = 20_000
"""Readings that are not yet stored with a verdict, above which a backlog pauses. The broker drops what it cannot queue.
"""


class SourcePoller:
    """Called by the run loop; readings of a minute are delivered before its Tick."""

    def __init__(
        self,
        source: Source,
        site: str,
        zone: ZoneInfo,
        tick_clock: TickClock,
        now: Callable[[], datetime],
        in_flight: Callable[[], int],
        on_position_committed: Callable[[], None],
        is_safe: Callable[[], bool] = lambda: True,
    ) -> None:
        """`now` reads the machine's clock.

        `on_position_committed` is called after the source has committed its position, which it does while `is_safe`:
        ingest holds no half of a minute that the spool does not have.
        """
        self._source, self._site, self._zone, self._tick_clock = source, site, zone, tick_clock
        self._now, self._in_flight, self._on_position_committed = now, in_flight, on_position_committed
        self._is_safe = is_safe
        self._backlog_batch_due = False
        self._ticks: deque[Tick] = deque()
        self._scheduler = schedule.Scheduler()
        self._schedule_minute()
        # Returns nothing, but a simulator starts at this minute, where the initial history of a first start ends.
        list(source.poll(now(), 0))

    def __call__(self) -> Sequence[Delivery]:
        if (self._scheduler.idle_seconds or 0) > 2 * MINUTE:
            self._schedule_minute()
            self._emit_tick()
        self._scheduler.run_pending()
        deliveries = []
        for item in self._source.poll(self._open_minute(), MAX_POLL_ITEMS) if self._has_capacity() else ():
            deliveries.append(Delivery(item, noop))
            if isinstance(item, Measurement):
                self._tick_clock.observe_reading(int(item.at.timestamp()) // MINUTE)
        while self._ticks:
            deliveries.append(Delivery(self._ticks.popleft(), self._commit_position))
        return deliveries

    def _schedule_minute(self) -> None:
        """Schedule the next full minute.

        A clock setback needs a new schedule, or that minute would be far in the future.
        """
        self._scheduler.clear()
        self._scheduler.every().minute.at(":00").do(self._emit_tick)

    def _open_minute(self) -> datetime:
        """Return the minute after the newest Tick; before the first Tick, the machine's time."""
        last = self._tick_clock.last
        return self._now() if last is None else datetime.fromtimestamp((last + 1) * MINUTE, UTC)

    def _has_capacity(self) -> bool:
        """Whether consumers keep up. If not, allow one batch a minute, so that live readings still pass."""
        if self._in_flight() < MAX_IN_FLIGHT:
            return True
        due, self._backlog_batch_due = self._backlog_batch_due, False
        return due

    def _commit_position(self) -> None:
        """Commit the source's position after a Tick is acknowledged: the spool was flushed before.

        On a full disk the next Tick commits it; a restart before that reads lines again that the spool already has.
        """
        if not self._is_safe():
            return
        try:
            self._source.commit()
            self._on_position_committed()
        except OSError as error:
            log("ingest", "position_commit_failed", logging.ERROR, reason=str(error))

    def _emit_tick(self) -> None:
        self._backlog_batch_due = True
        minute = self._tick_clock.next_tick(int(self._now().timestamp()) // MINUTE - 1)
        if minute is not None:
            self._ticks.append(Tick(self._site, local_time(minute * MINUTE, self._zone)))


class TickFile:
    """The minute of the newest Tick, kept across restarts.

    The file is overwritten in place, so it works on a full disk. It is not synced: a power cut may lose the newest
    minute, but the machine is off for longer than that.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)

    def read(self) -> int | None:
        """Return minutes since the epoch; None before the first Tick or if the file is damaged."""
        try:
            text = os.pread(self._file, 40, 0).decode("ascii")
            return int(datetime.fromisoformat(text.strip()).timestamp()) // MINUTE
        except ValueError:
            return None

    def save(self, minute: int) -> None:
        with suppress(OSError):
            os.pwrite(self._file, f"{datetime.fromtimestamp(minute * MINUTE, UTC).isoformat()}\n".encode(), 0)
