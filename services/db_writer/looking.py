"""Looks for damage in a thread of its own, so that the minute work goes on."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from shared.runtime.log import log
from shared.runtime.service import Unavailable
from shared.store.repair import damage


class Looking:
    """One look at a time."""

    def __init__(self, database: Path, backups: Path) -> None:
        self._database, self._backups = database, backups
        self._found = ""
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, name="look", daemon=True)
            self._thread.start()

    def found(self) -> str:
        found, self._found = self._found, ""
        return found

    def _look(self) -> None:
        try:
            found = damage(self._database, self._backups)
        except Unavailable as hindrance:
            log("db_writer", "the database could not be looked at", logging.WARNING, reason=str(hindrance))
            return
        if found:
            log("db_writer", "the database is damaged", logging.ERROR, found=found)
            self._found = found
