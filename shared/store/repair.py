"""A damaged wvr.db is set aside whole, and the newest sound backup takes its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from shared.contract.service import Unavailable
from shared.runtime.safe_files import fsync_path, read_limited, write_atomic
from shared.store.backups import TIME_FORMAT, integrity_error, list_backups
from shared.store.sqlite_errors import is_corruption, transient_reason

FILE_SUFFIXES = ("", "-wal", "-shm")


def repair(database: Path, backups: Path, at: datetime, assume_corrupt: bool = False) -> str:
    """Under the writer's lock: checks the database and replaces a damaged one; says what was done, empty if sound.

    `doubted`: writes found it damaged twice, whatever quick_check says. Raises Unavailable when it can't be read or
    replaced now; then nothing was touched.
    """
    _finish_swap(database)
    flaw = find_corruption(database, backups) or ("writing it fails" if assume_corrupt else "")
    if not flaw:
        return ""
    source = next((path for path in reversed(list_backups(backups).values()) if not integrity_error(path)), None)
    try:
        aside = swap_database(database, source, "corrupt", at)
    except OSError as error:
        raise Unavailable(f"wvr.db is damaged ({flaw}), and can't be replaced now: {error.strerror}") from error
    instead = f"the backup {source.name} was restored" if source else "there was no sound backup, a new one was begun"
    said = f"{at:%Y-%m-%d %H:%M}: wvr.db was damaged ({flaw[:200]}) and is now {aside.name}; {instead}"
    with suppress(OSError):
        write_atomic(aside.with_name(f"{aside.name}.txt"), said)
    return said


def last_repair_text(database: Path) -> str:
    """What was said of the last repair, until somebody deletes the damaged file's .txt."""
    notes = sorted(database.parent.glob(f"{database.name}.corrupt-*.txt"))
    with suppress(OSError):
        return read_limited(notes[-1], 10_000).decode("utf-8", "replace")[:1000] if notes else ""
    return f"{notes[-1].name} can't be read"


def find_corruption(database: Path, backups: Path) -> str:
    """What quick_check finds; empty when the database is sound or not yet there. Raises Unavailable."""
    if not database.exists():
        return ""
    if not database.stat().st_size:
        return "the file is empty" if list_backups(backups) else ""
    try:
        # Read-only, so that closing doesn't write the -wal of a damaged file into it.
        with closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True, timeout=2.0)) as source:
            found = [row[0] for row in source.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        if is_corruption(error):
            return str(error)
        raise Unavailable(transient_reason(error, database) or f"the database can't be read now: {error}") from error
    return "" if found == ["ok"] else "; ".join(found)


def swap_database(database: Path, source: Path | None, why: str, at: datetime) -> Path:
    """Sets the database aside with its -wal and -shm, and puts a copy of `source` in its place; returns where it is.

    The copy is whole on disk before anything is moved, and db_writer will find that the reporter's blocks are owed.
    Raises OSError, and then nothing has changed.
    """
    ready, marker = _ready_copy(database), backfill_marker(database)
    beside = database.with_name(f".{database.name}.part")
    try:
        if source:
            _copy(source, beside)
        marker.touch()
        _chown_to_folder_owner(marker)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    if source:
        beside.replace(ready)
    aside = database.with_name(f"{database.name}.{why}-{at:{TIME_FORMAT}}")
    for part in FILE_SUFFIXES:
        path = database.with_name(database.name + part)
        if path.exists():
            path.replace(aside.with_name(aside.name + part))
    _finish_swap(database)
    return aside


def backfill_marker(database: Path) -> Path:
    """The file that is there until db_writer has filled a replaced database from the reporter's blocks."""
    return database.with_name(f"{database.name}.refill")


def _finish_swap(database: Path) -> None:
    """Ends a replacement that a power cut interrupted."""
    ready = _ready_copy(database)
    if ready.exists() and not database.exists():
        for part in FILE_SUFFIXES[1:]:
            database.with_name(database.name + part).unlink(missing_ok=True)
        ready.replace(database)
    ready.unlink(missing_ok=True)
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
    """Gives what root has made to the owner of the folder: in Docker the services are another user."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
