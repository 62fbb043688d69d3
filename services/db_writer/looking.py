"""Looks for damage in a thread of its own, so that the minute work goes on."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from shared.contract.service import Unavailable
from shared.runtime.log import log
from shared.store.repair import find_corruption


class BackgroundIntegrityCheck:
    """One look at a time."""

    def __init__(self, database: Path, backups: Path) -> None:
        self._database, self._backups = database, backups
        self._corruption = ""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._check, name="look", daemon=True)
            self._thread.start()

    def poll(self) -> str:
        corruption, self._corruption = self._corruption, ""
        return corruption

    def _check(self) -> None:
        try:
            corruption = find_corruption(self._database, self._backups)
        except Unavailable as reason:
            log("db_writer", "the database could not be looked at", logging.WARNING, reason=str(reason))
            return
        if corruption:
            log("db_writer", "the database is damaged", logging.ERROR, found=corruption)
            self._corruption = corruption
