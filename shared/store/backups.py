"""Copies of wvr.db in data/backup/: made while it is written, checked, rotated."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

from shared.runtime.safe_files import fsync_path
from shared.store.schema import APPLIED_SQL, newer_schema_error

TIME_FORMAT = "%Y%m%dT%H%M%S"
PAGES_PER_STEP = 256
"""Copied at a time: 1 MB."""
PAUSE_SECONDS = 0.005
"""Seconds between two such steps, in which the minute work has the disk."""
RETENTION_COUNTS = {"%Y%m%d": 7, "%G-%V": 5, "%Y%m": 12}
"""The newest of each of the last so many days, ISO weeks and months that have a backup."""


class BackupError(Exception):
    """No backup was made; the text says why."""


def list_backups(folder: Path) -> dict[datetime, Path]:
    """Backups by their local time, oldest first."""
    found = {}
    for path in folder.glob("wvr-*.db"):
        if not path.is_file():
            continue
        try:
            found[datetime.strptime(path.stem.removeprefix("wvr-"), TIME_FORMAT)] = path  # noqa: DTZ007
        except ValueError:
            continue
    return dict(sorted(found.items()))


def has_backup(folder: Path, day: date) -> bool:
    """Whether there is a backup of a local day."""
    return any(at.date() == day for at in list_backups(folder))


def select_retained(times: Iterable[datetime]) -> set[datetime]:
    """Of backups at these times, those that the rotation keeps. Counts what is there, so no clock deletes all."""
    ordered = sorted(times)
    stay: set[datetime] = set()
    for pattern, most in RETENTION_COUNTS.items():
        newest = {at.strftime(pattern): at for at in ordered}
        stay.update(sorted(newest.values())[-most:])
    return stay


def rotate(folder: Path) -> None:
    """Deletes the backups that the rotation doesn't keep."""
    found = list_backups(folder)
    for at in found.keys() - select_retained(found):
        found[at].unlink()


def create_backup(database: Path, folder: Path, at: datetime, report_progress: Callable[[int, int], None]) -> Path:
    """Copies a database that may be written meanwhile, checks the copy, and rotates; tells (pages done, of).

    A read transaction holds the state of one instant; writers go on beside it. Raises BackupError.
    """
    final = folder / f"wvr-{at:{TIME_FORMAT}}.db"
    beside = folder / f".{final.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".wvr-*.part*"):
            left.unlink()
        _copy(database, beside, report_progress)
        if flaw := integrity_error(beside):
            raise BackupError(f"the copy is not sound: {flaw}")
        fsync_path(beside)
        beside.replace(final)
        fsync_path(folder)
        rotate(folder)
    except (sqlite3.Error, OSError) as error:
        beside.unlink(missing_ok=True)
        raise BackupError(f"no backup was made: {error}") from error
    return final


def integrity_error(path: Path) -> str:
    """What quick_check finds in a database file that nobody writes; empty when it is sound. Changes nothing."""
    try:
        with closing(sqlite3.connect(f"file:{path.resolve()}?mode=ro&immutable=1", uri=True)) as source:
            found = [row[0] for row in source.execute("PRAGMA quick_check(3)")]
            if found == ["ok"]:
                if not source.execute("SELECT 1 FROM sqlite_master WHERE name = 'REAL_VAL_TB'").fetchone():
                    return "it is no database of WVR"
                return newer_schema_error([row[0] for row in source.execute(APPLIED_SQL)])
    except sqlite3.DatabaseError as error:
        return str(error)
    return "; ".join(found)


def _copy(database: Path, beside: Path, report_progress: Callable[[int, int], None]) -> None:
    def paced(_: int, remaining: int, total: int) -> None:
        report_progress(total - remaining, total)
        time.sleep(PAUSE_SECONDS)

    with (
        closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True, isolation_level=None)) as source,
        closing(sqlite3.connect(beside, isolation_level=None)) as target,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target, pages=PAGES_PER_STEP, progress=paced)
        target.execute("PRAGMA journal_mode = DELETE").fetchone()
