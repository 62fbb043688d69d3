"""Copies wvr.db in a thread of its own, so that the minute work goes on."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from services.db_writer.backup_scheduler import BackupProgress
from shared.runtime.log import log
from shared.store import backups

PROGRESS_STEPS = 10
"""Times that one copy tells how far it is."""


class BackgroundBackup:
    """One backup at a time."""

    def __init__(self, database: Path, folder: Path, clock: Callable[[], datetime]) -> None:
        self._database, self._folder, self._clock = database, folder, clock
        self._progress: queue.SimpleQueue[BackupProgress] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.failure = ""
        """Why the last backup was not made; empty when it was."""

    def has_backup(self, day: date) -> bool:
        return backups.has_backup(self._folder, day)

    def start(self, at: datetime | None) -> None:
        if self._thread is None or not self._thread.is_alive():
            at = at or self._clock()
            self._thread = threading.Thread(target=self._copy, args=(at,), name="backup", daemon=True)
            self._thread.start()

    def poll(self) -> list[BackupProgress]:
        return [self._progress.get() for _ in range(self._progress.qsize())]

    def _copy(self, at: datetime) -> None:
        steps_reported = 0

        def report_progress(done: int, of: int) -> None:
            nonlocal steps_reported
            if PROGRESS_STEPS * done // max(of, 1) > steps_reported and done < of:
                steps_reported = PROGRESS_STEPS * done // of
                self._progress.put(
                    BackupProgress(self._clock(), steps_reported, PROGRESS_STEPS, f"{done} of {of} pages copied")
                )

        try:
            path = backups.create_backup(self._database, self._folder, at, report_progress)
        except Exception as error:
            self.failure = str(error)
            log("db_writer", "backup failed", logging.ERROR, reason=self.failure)
            self._progress.put(BackupProgress(self._clock(), steps_reported, PROGRESS_STEPS, self.failure, ok=False))
        else:
            self.failure = ""
            log("db_writer", "backup made", file=path.name)
            self._progress.put(
                BackupProgress(
                    self._clock(), PROGRESS_STEPS, PROGRESS_STEPS, f"backup/{path.name} is made and sound", ok=True
                )
            )
