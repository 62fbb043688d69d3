"""Replaces a damaged wvr.db with the newest valid backup and keeps the damaged file."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from shared.contract.messages import LocalizedText
from shared.contract.service import Unavailable
from shared.contract.status_codes import Problem, problem
from shared.runtime.safe_files import fsync_path, read_limited, write_atomic
from shared.store.backups import TIME_FORMAT, integrity_error, list_backups
from shared.store.sqlite_errors import is_corruption, transient_problem

FILE_SUFFIXES = ("", "-wal", "-shm")


def repair(database: Path, backups: Path, at: datetime, assume_corrupt: bool = False) -> str:
    """Check the database and replace a damaged one; return what was done, empty if it is valid.

    The caller holds the writer lock. `assume_corrupt`: writes reported corruption twice, whatever quick_check finds.
    Raises Unavailable if it cannot be read or replaced now; then nothing was changed.
    """
    _finish_swap(database)
    corruption = find_corruption(database, backups) or ("writes report corruption" if assume_corrupt else "")
    if not corruption:
        return ""
    backup = next((path for path in reversed(list_backups(backups).values()) if not integrity_error(path)), None)
    try:
        damaged = swap_database(database, backup, "corrupt", at)
    except OSError as error:
        raise Unavailable(problem("database_not_replaceable", corruption=corruption, reason=error.strerror)) from error
    text = problem(
        "database_restored" if backup else "database_created",
        at=f"{at:%Y-%m-%d %H:%M}",
        corruption=corruption[:200],
        damaged=damaged.name,
        backup=backup.name if backup else "",
    ).text
    with suppress(OSError):
        write_atomic(damaged.with_name(f"{damaged.name}.txt"), f"{text.en}\n{text.ko}\n")
    return text.en


def last_repair(database: Path) -> Problem | None:
    """Return the last repair, until the damaged file's .txt is deleted; its lines are English and Korean."""
    notes = sorted(database.parent.glob(f"{database.name}.corrupt-*.txt"))
    if not notes:
        return None
    try:
        lines = read_limited(notes[-1], 10_000).decode("utf-8", "replace").splitlines() or [""]
    except OSError:
        return problem("repair_text_not_readable", file=notes[-1].name)
    return Problem("database_restored", LocalizedText(lines[-1][:1000], lines[0][:1000]))


def find_corruption(database: Path, backups: Path) -> str:
    """Return what quick_check finds; empty if the database is valid or does not exist. Raises Unavailable."""
    if not database.exists():
        return ""
    if not database.stat().st_size:
        return "the file is empty" if list_backups(backups) else ""
    try:
        # Read-only: closing must not write the -wal of a damaged file into it.
        with closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True, timeout=2.0)) as connection:
            errors = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        if is_corruption(error):
            return str(error)
        reason = transient_problem(error, database) or problem("database_not_readable", reason=error)
        raise Unavailable(reason) from error
    return "" if errors == ["ok"] else "; ".join(errors)


def swap_database(database: Path, source: Path | None, why: str, at: datetime) -> Path:
    """Rename the database with its -wal and -shm, put a copy of `source` in its place, and return the renamed file.

    The copy is complete on disk before anything is renamed, and a marker requests the backfill from the reporter's
    blocks. Raises OSError, and then nothing has changed.
    """
    copy, marker = _ready_copy(database), backfill_marker(database)
    partial = database.with_name(f".{database.name}.part")
    try:
        if source:
            _copy(source, partial)
        marker.touch()
        _chown_to_folder_owner(marker)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if source:
        partial.replace(copy)
    renamed = database.with_name(f"{database.name}.{why}-{at:{TIME_FORMAT}}")
    for suffix in FILE_SUFFIXES:
        path = database.with_name(database.name + suffix)
        if path.exists():
            path.replace(renamed.with_name(renamed.name + suffix))
    _finish_swap(database)
    return renamed


def backfill_marker(database: Path) -> Path:
    """Return the marker file that exists until db_writer has backfilled a replaced database."""
    return database.with_name(f"{database.name}.refill")


def _finish_swap(database: Path) -> None:
    """Finish a replacement that a power cut interrupted."""
    copy = _ready_copy(database)
    if copy.exists() and not database.exists():
        for suffix in FILE_SUFFIXES[1:]:
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        copy.replace(database)
    copy.unlink(missing_ok=True)
    fsync_path(database.parent)


def _ready_copy(database: Path) -> Path:
    return database.with_name(f"{database.name}.restored")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())
    _chown_to_folder_owner(target)


def _chown_to_folder_owner(path: Path) -> None:
    """Give a file that root created to the owner of the folder: in Docker the services run as another user."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
