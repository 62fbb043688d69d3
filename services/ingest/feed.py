"""Feeds ingest: what its source has read, and a Tick when the clock closes a minute."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import schedule

from services.ingest.sources import Source
from services.ingest.sources.lines import BadLine
from shared.contract.messages import Tick
from shared.runtime.bus import Delivery
from shared.runtime.log import log
from shared.runtime.service import Unavailable

BATCH = 1000
MOST_AHEAD = 20_000
"""Readings not yet stored and judged from which on a backlog waits: the broker would drop what it can't queue."""
MINUTE = timedelta(minutes=1)


class Feed:
    """Polled by the run loop; readings of a minute go out before its Tick."""

    def __init__(
        self,
        source: Source,
        site: str,
        now: Callable[[], datetime],
        ahead: Callable[[], int],
        placed: Callable[[], None],
    ) -> None:
        """`placed` is called when the source has remembered its place."""
        self._source, self._site, self._now, self._ahead, self._placed = source, site, now, ahead, placed
        self._waiting_since: datetime | None = None
        self._ticks: deque[Tick] = deque()
        self._scheduler = schedule.Scheduler()
        self._scheduler.every().minute.at(":00").do(self._close_minute)
        # Gives nothing, but a simulator then begins with this minute, where the past of a first start ends.
        list(source.poll(now(), 0))

    def __call__(self) -> Sequence[Delivery]:
        self._scheduler.run_pending()
        now = self._now()
        deliveries = [Delivery(item, _nothing) for item in self._source.poll(now, BATCH)] if self._may_go(now) else []
        while self._ticks:
            deliveries.append(Delivery(self._ticks.popleft(), self._remember))
        return deliveries

    def _may_go(self, now: datetime) -> bool:
        """Whether the others keep up; when they don't, still one batch a minute, so that live readings go on."""
        if self._ahead() < MOST_AHEAD or (self._waiting_since and now - self._waiting_since >= MINUTE):
            self._waiting_since = None
            return True
        self._waiting_since = self._waiting_since or now
        return False

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
        minute = self._now().replace(second=0, microsecond=0) - MINUTE
        self._ticks.append(Tick(self._site, minute))


class RejectedLines:
    """data/rejected/: a file for each source file, with the lines that could not be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, line: BadLine) -> None:
        """Raises Unavailable while the disk is full."""
        path = self._folder / f"{Path(line.file).name}.rejected.txt"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{line.number}\t{line.reason}\t{line.raw.rstrip()}\n")
        except OSError as error:
            raise Unavailable(f"{path.name} can't be written, readings wait: {error.strerror}") from error


def _nothing() -> None:
    pass
