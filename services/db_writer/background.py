"""Backup and integrity check of wvr.db in background threads."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path

from services.db_writer.backup_scheduler import BackupProgress
from shared.contract.messages import LocalizedText
from shared.contract.service import Unavailable
from shared.contract.status_codes import Problem, problem
from shared.contract.texts import localized
from shared.runtime.log import log
from shared.store import backups
from shared.store.repair import find_corruption

PROGRESS_STEPS = 10
"""Progress messages per backup."""


class _Worker:
    """Runs one call at a time in a daemon thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None

    def start(self, call: Callable[[], None]) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=call, name=self._name, daemon=True)
            self._thread.start()


class BackgroundBackup:
    """Runs one backup at a time."""

    def __init__(self, database: Path, folder: Path, clock: Callable[[], datetime]) -> None:
        self._database, self._folder, self._clock = database, folder, clock
        self._progress: queue.SimpleQueue[BackupProgress] = queue.SimpleQueue()
        self._worker = _Worker("backup")
        self.failure: Problem | None = None
        """Why the last backup failed; None if it succeeded."""

    def has_backup(self, day: date) -> bool:
        return backups.has_backup(self._folder, day)

    def start(self, at: datetime | None) -> None:
        self._worker.start(partial(self._back_up, at or self._clock()))

    def poll(self) -> list[BackupProgress]:
        return [self._progress.get() for _ in range(self._progress.qsize())]

    def _back_up(self, at: datetime) -> None:
        step = 0

        def report_progress(done: int, of: int) -> None:
            nonlocal step
            if PROGRESS_STEPS * done // max(of, 1) > step and done < of:
                step = PROGRESS_STEPS * done // of
                text = localized("{of}쪽 중 {done}쪽 복사", "{done} of {of} pages copied", done=done, of=of)
                self._report(step, text)

        try:
            path = backups.create_backup(self._database, self._folder, at, report_progress)
        except Exception as error:
            self.failure = problem("backup_failed", reason=error)
            log("db_writer", "backup_failed", logging.ERROR, reason=str(error))
            self._report(step, self.failure.text, ok=False)
        else:
            self.failure = None
            log("db_writer", "backup_created", file=path.name)
            text = localized(
                "backup/{name} 백업을 완료하고 검사했습니다", "backup/{name} is complete and valid", name=path.name
            )
            self._report(PROGRESS_STEPS, text, ok=True)

    def _report(self, step: int, text: LocalizedText, ok: bool | None = None) -> None:
        self._progress.put(BackupProgress(self._clock(), step, PROGRESS_STEPS, text, ok))


class BackgroundIntegrityCheck:
    """Runs one check at a time."""

    def __init__(self, database: Path, backup_folder: Path) -> None:
        self._database, self._backup_folder = database, backup_folder
        self._corruption = ""
        self._worker = _Worker("integrity-check")

    def start(self) -> None:
        self._worker.start(self._check)

    def poll(self) -> str:
        corruption, self._corruption = self._corruption, ""
        return corruption

    def _check(self) -> None:
        try:
            corruption = find_corruption(self._database, self._backup_folder)
        except Unavailable as reason:
            log("db_writer", "integrity_check_postponed", logging.WARNING, reason=str(reason))
            return
        if corruption:
            log("db_writer", "database_corrupt", logging.ERROR, reason=corruption)
            self._corruption = corruption
