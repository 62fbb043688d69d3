"""Feeds ingest: what its source has read, and a Tick when a minute closes."""

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

from services.ingest.sources import Source
from services.ingest.sources.line_reader import Measurement
from services.ingest.tick_clock import TickClock
from shared.contract.messages import Tick
from shared.domain.local_time import local_time
from shared.domain.series import MINUTE
from shared.runtime.bus import Delivery
from shared.runtime.log import log

MAX_POLL_ITEMS = 1000
MAX_IN_FLIGHT = 20_000
"""Readings not yet stored and judged from which on a backlog waits: the broker would drop what it can't queue."""


class SourcePoller:
    """Polled by the run loop; readings of a minute go out before its Tick."""

    def __init__(
        self,
        source: Source,
        site: str,
        zone: ZoneInfo,
        tick_clock: TickClock,
        now: Callable[[], datetime],
        in_flight: Callable[[], int],
        on_position_committed: Callable[[], None],
    ) -> None:
        """`now` is the machine's clock; `placed` is called when the source has remembered its place."""
        self._source, self._site, self._zone, self._tick_clock = source, site, zone, tick_clock
        self._now, self._in_flight, self._on_position_committed = now, in_flight, on_position_committed
        self._backlog_batch_due = False
        self._ticks: deque[Tick] = deque()
        self._scheduler = schedule.Scheduler()
        self._schedule_minute()
        # Gives nothing, but a simulator then begins with this minute, where the past of a first start ends.
        list(source.poll(now(), 0))

    def __call__(self) -> Sequence[Delivery]:
        if (self._scheduler.idle_seconds or 0) > 2 * MINUTE:
            self._schedule_minute()
            self._emit_tick()
        self._scheduler.run_pending()
        deliveries = []
        for item in self._source.poll(self._open_minute(), MAX_POLL_ITEMS) if self._has_capacity() else ():
            deliveries.append(Delivery(item, _nothing))
            if isinstance(item, Measurement):
                self._tick_clock.observe_reading(int(item.at.timestamp()) // MINUTE)
        while self._ticks:
            deliveries.append(Delivery(self._ticks.popleft(), self._commit_position))
        return deliveries

    def _schedule_minute(self) -> None:
        """Every full minute; again when the clock was set back, and that minute would be long in coming."""
        self._scheduler.clear()
        self._scheduler.every().minute.at(":00").do(self._emit_tick)

    def _open_minute(self) -> datetime:
        """Behind the newest Tick; the clock says it only before the first."""
        last = self._tick_clock.last
        return self._now() if last is None else datetime.fromtimestamp((last + 1) * MINUTE, UTC)

    def _has_capacity(self) -> bool:
        """Whether the others keep up; when they don't, still one batch a minute, so that live readings go on."""
        if self._in_flight() < MAX_IN_FLIGHT:
            return True
        due, self._backlog_batch_due = self._backlog_batch_due, False
        return due

    def _commit_position(self) -> None:
        """Called when a Tick is acknowledged: the spool was flushed before, so the source's place may be remembered.

        On a full disk it is remembered some minutes later; until then a restart would read again what the spool has.
        """
        try:
            self._source.commit()
            self._on_position_committed()
        except OSError as error:
            log("ingest", "the source's place could not be remembered", logging.ERROR, reason=str(error))

    def _emit_tick(self) -> None:
        self._backlog_batch_due = True
        minute = self._tick_clock.next_tick(int(self._now().timestamp()) // MINUTE - 1)
        if minute is not None:
            self._ticks.append(Tick(self._site, local_time(minute * MINUTE, self._zone)))


class TickFile:
    """The minute of the newest Tick, through restarts.

    The file is overwritten in its place, so that no full disk hinders, and not flushed: a power cut may cost the newest
    minute, and it takes longer than that.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)

    def read(self) -> int | None:
        """Minutes since the epoch; None before the first, and when the file is damaged."""
        try:
            text = os.pread(self._file, 40, 0).decode("ascii")
            return int(datetime.fromisoformat(text.strip()).timestamp()) // MINUTE
        except ValueError:
            return None

    def save(self, minute: int) -> None:
        with suppress(OSError):
            os.pwrite(self._file, f"{datetime.fromtimestamp(minute * MINUTE, UTC).isoformat()}\n".encode(), 0)


def _nothing() -> None:
    pass
