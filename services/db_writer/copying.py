"""Copies wvr.db in a thread of its own, so that the minute work goes on."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from services.db_writer.backup import News
from shared.runtime.log import log
from shared.store import backups

PARTS = 10
"""Times that one copy tells how far it is."""


class Copying:
    """One backup at a time."""

    def __init__(self, database: Path, folder: Path, clock: Callable[[], datetime]) -> None:
        self._database, self._folder, self._clock = database, folder, clock
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.failure = ""
        """Why the last backup was not made; empty when it was."""

    def has(self, day: date) -> bool:
        return backups.has(self._folder, day)

    def begin(self, at: datetime | None) -> None:
        if self._thread is None or not self._thread.is_alive():
            at = at or self._clock()
            self._thread = threading.Thread(target=self._copy, args=(at,), name="backup", daemon=True)
            self._thread.start()

    def news(self) -> list[News]:
        return [self._news.get() for _ in range(self._news.qsize())]

    def _copy(self, at: datetime) -> None:
        told = 0

        def tell(done: int, of: int) -> None:
            nonlocal told
            if PARTS * done // max(of, 1) > told and done < of:
                told = PARTS * done // of
                self._news.put(News(self._clock(), told, PARTS, f"{done} of {of} pages copied"))

        try:
            path = backups.make(self._database, self._folder, at, tell)
        except Exception as error:
            self.failure = str(error)
            log("db_writer", "backup failed", logging.ERROR, reason=self.failure)
            self._news.put(News(self._clock(), told, PARTS, self.failure, ok=False))
        else:
            self.failure = ""
            log("db_writer", "backup made", file=path.name)
            self._news.put(News(self._clock(), PARTS, PARTS, f"backup/{path.name} is made and sound", ok=True))
