"""Feeds ingest: what its source has read, and a Tick when the clock closes a minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import schedule

from services.ingest.sources import Source
from shared.contract.messages import Tick
from shared.runtime.bus import Delivery

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
        """Called when a Tick is acknowledged: the spool was flushed before, so the source's place may be remembered."""
        self._source.done()
        self._placed()

    def _close_minute(self) -> None:
        minute = self._now().replace(second=0, microsecond=0) - MINUTE
        self._ticks.append(Tick(self._site, minute))


def _nothing() -> None:
    pass
