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

from services.ingest.minutes import Minutes
from services.ingest.sources import Source
from services.ingest.sources.lines import Measurement
from shared.contract.messages import Tick
from shared.domain.local_time import local_time
from shared.domain.series import MINUTE
from shared.runtime.bus import Delivery
from shared.runtime.log import log

BATCH = 1000
MOST_AHEAD = 20_000
"""Readings not yet stored and judged from which on a backlog waits: the broker would drop what it can't queue."""


class Feed:
    """Polled by the run loop; readings of a minute go out before its Tick."""

    def __init__(
        self,
        source: Source,
        site: str,
        zone: ZoneInfo,
        minutes: Minutes,
        now: Callable[[], datetime],
        ahead: Callable[[], int],
        placed: Callable[[], None],
    ) -> None:
        """`now` is the machine's clock; `placed` is called when the source has remembered its place."""
        self._source, self._site, self._zone, self._minutes = source, site, zone, minutes
        self._now, self._ahead, self._placed = now, ahead, placed
        self._due = False
        self._ticks: deque[Tick] = deque()
        self._scheduler = schedule.Scheduler()
        self._set_alarm()
        # Gives nothing, but a simulator then begins with this minute, where the past of a first start ends.
        list(source.poll(now(), 0))

    def __call__(self) -> Sequence[Delivery]:
        if (self._scheduler.idle_seconds or 0) > 2 * MINUTE:
            self._set_alarm()
            self._close_minute()
        self._scheduler.run_pending()
        deliveries = []
        for item in self._source.poll(self._open_minute(), BATCH) if self._may_go() else ():
            deliveries.append(Delivery(item, _nothing))
            if isinstance(item, Measurement):
                self._minutes.hear(int(item.at.timestamp()) // MINUTE)
        while self._ticks:
            deliveries.append(Delivery(self._ticks.popleft(), self._remember))
        return deliveries

    def _set_alarm(self) -> None:
        """Every full minute; again when the clock was set back, and that minute would be long in coming."""
        self._scheduler.clear()
        self._scheduler.every().minute.at(":00").do(self._close_minute)

    def _open_minute(self) -> datetime:
        """Behind the newest Tick; the clock says it only before the first."""
        last = self._minutes.last
        return self._now() if last is None else datetime.fromtimestamp((last + 1) * MINUTE, UTC)

    def _may_go(self) -> bool:
        """Whether the others keep up; when they don't, still one batch a minute, so that live readings go on."""
        if self._ahead() < MOST_AHEAD:
            return True
        due, self._due = self._due, False
        return due

    def _remember(self) -> None:
        """Called when a Tick is acknowledged: the spool was flushed before, so the source's place may be remembered.

        On a full disk it is remembered some minutes later; until then a restart would read again what the spool has.
        """
        try:
            self._source.done()
            self._placed()
        except OSError as error:
            log("ingest", "the source's place could not be remembered", logging.ERROR, reason=str(error))

    def _close_minute(self) -> None:
        self._due = True
        minute = self._minutes.close(int(self._now().timestamp()) // MINUTE - 1)
        if minute is not None:
            self._ticks.append(Tick(self._site, local_time(minute * MINUTE, self._zone)))


class NewestTick:
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

    def keep(self, minute: int) -> None:
        with suppress(OSError):
            os.pwrite(self._file, f"{datetime.fromtimestamp(minute * MINUTE, UTC).isoformat()}\n".encode(), 0)


def _nothing() -> None:
    pass
