"""The writer lock of wvr.db: WVR's lock file, and SQLite's own lock in the -shm file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

WAL_WRITE_LOCK_BYTE = 120
"""Byte of the -shm file that SQLite locks while it writes in WAL mode (sqlite.org/walformat.html, 2.3.1)."""


class WriterLockHeld(Exception):
    """Another process writes this database."""


def lock_file(database: Path) -> Path:
    """Return the file whose lock prevents a second writer."""
    return database.with_suffix(".lock")


def acquire(database: Path) -> int:
    """Lock the database for writing; `os.close` releases the lock. Raises WriterLockHeld."""
    path = lock_file(database)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = path.read_text(encoding="ascii").strip()
        os.close(handle)
        raise WriterLockHeld(f"{path}: process {pid} already writes this database") from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode("ascii"))
    return handle


def holder(database: Path) -> str:
    """Return the holder of the writer lock: "python (process 12)"; empty if there is none."""
    return _first(_holders(lock_file(database), 0))


def foreign_writer(database: Path) -> str:
    """Return another holder of SQLite's write lock; empty if there is none or it is unknown (another container)."""
    shm = database.with_name(f"{database.name}-shm")
    return _first(number for number in _holders(shm, WAL_WRITE_LOCK_BYTE) if number != os.getpid())


def _holders(path: Path, byte: int) -> Iterator[int]:
    """Yield processes with a write lock on a byte of a file, according to /proc/locks."""
    try:
        inode, lines = path.stat().st_ino, Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for words in map(str.split, lines):
        if "->" in words or len(words) < 8 or words[3] != "WRITE" or int(words[5].rsplit(":", 1)[1]) != inode:
            continue
        if int(words[6]) <= byte and (words[7] == "EOF" or byte <= int(words[7])):
            yield int(words[4])


def _first(numbers: Iterator[int]) -> str:
    number = next(numbers, 0)
    if number <= 0:
        return ""
    try:
        name = Path(f"/proc/{number}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        name = "a program"
    return f"{name} (process {number})"
