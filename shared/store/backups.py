"""Backups of wvr.db in data/backup/: created while it is written, checked, rotated."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

from shared.runtime.safe_files import fsync_path
from shared.store.schema import APPLIED_SQL, newer_schema_problem

TIME_FORMAT = "%Y%m%dT%H%M%S"
PAGES_PER_STEP = 256
"""Pages copied at a time: 1 MB."""
PAUSE_SECONDS = 0.005
"""Pause between two steps, so that other work gets the disk."""
RETENTION_COUNTS = {"%Y%m%d": 7, "%G-%V": 5, "%Y%m": 12}
"""Number of days, ISO weeks and months with a backup whose newest one is retained."""


class BackupError(Exception):
    """The backup failed; the text gives the reason."""


def list_backups(folder: Path) -> dict[datetime, Path]:
    """Return the backups by their local time, oldest first."""
    backups = {}
    for path in folder.glob("wvr-*.db"):
        if not path.is_file():
            continue
        try:
            backups[datetime.strptime(path.stem.removeprefix("wvr-"), TIME_FORMAT)] = path  # noqa: DTZ007
        except ValueError:
            continue
    return dict(sorted(backups.items()))


def has_backup(folder: Path, day: date) -> bool:
    """Whether there is a backup of a local day."""
    return any(at.date() == day for at in list_backups(folder))


def select_retained(times: Iterable[datetime]) -> set[datetime]:
    """Return the times of the backups that the rotation retains. It counts backups, so no wrong clock deletes all."""
    ordered = sorted(times)
    retained: set[datetime] = set()
    for pattern, count in RETENTION_COUNTS.items():
        newest = {at.strftime(pattern): at for at in ordered}
        retained.update(sorted(newest.values())[-count:])
    return retained


def rotate(folder: Path) -> None:
    """Delete the backups that the rotation does not retain."""
    backups = list_backups(folder)
    for at in backups.keys() - select_retained(backups):
        backups[at].unlink()


def create_backup(database: Path, folder: Path, at: datetime, report_progress: Callable[[int, int], None]) -> Path:
    """Copy a database that may be written meanwhile, check the copy and rotate; report (pages done, total).

    A read transaction gives the state of one instant while writers continue. Raises BackupError.
    """
    final = folder / f"wvr-{at:{TIME_FORMAT}}.db"
    partial = folder / f".{final.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".wvr-*.part*"):
            leftover.unlink()
        _copy(database, partial, report_progress)
        if error_text := integrity_error(partial):
            raise BackupError(f"the copy is corrupt: {error_text}")
        fsync_path(partial)
        partial.replace(final)
        fsync_path(folder)
        rotate(folder)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise BackupError(str(error)) from error
    return final


def integrity_error(path: Path) -> str:
    """Return what quick_check finds in a database file that nobody writes; empty if it is valid. Changes nothing."""
    try:
        with closing(sqlite3.connect(f"file:{path.resolve()}?mode=ro&immutable=1", uri=True)) as source:
            errors = [row[0] for row in source.execute("PRAGMA quick_check(3)")]
            if errors == ["ok"]:
                if not source.execute("SELECT 1 FROM sqlite_master WHERE name = 'REAL_VAL_TB'").fetchone():
                    return "it is not a database of WVR"
                newer = newer_schema_problem([row[0] for row in source.execute(APPLIED_SQL)])
                return newer.text.en if newer else ""
    except sqlite3.DatabaseError as error:
        return str(error)
    return "; ".join(errors)


def _copy(database: Path, partial: Path, report_progress: Callable[[int, int], None]) -> None:
    def on_step(_: int, remaining: int, total: int) -> None:
        report_progress(total - remaining, total)
        time.sleep(PAUSE_SECONDS)

    with (
        closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True, isolation_level=None)) as source,
        closing(sqlite3.connect(partial, isolation_level=None)) as target,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target, pages=PAGES_PER_STEP, progress=on_step)
        target.execute("PRAGMA journal_mode = DELETE").fetchone()
