"""What an error of SQLite means: wait, the file is damaged, or the statement is to blame."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from peewee import PeeweeException

from shared.store.writer_lock import foreign_writer

DATABASE_ERRORS = (sqlite3.Error, PeeweeException)
CORRUPTION_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
TRANSIENT_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
}
"""What passes without anybody changing the message."""


def is_corruption(error: Exception) -> bool:
    """Whether the database file itself is broken."""
    return _code(error) in CORRUPTION_CODES


def transient_reason(error: Exception, database: Path) -> str:
    """What hinders, in plain words; empty when waiting would not help."""
    code = _code(error)
    if code not in TRANSIENT_CODES:
        return ""
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        holder = foreign_writer(database)
        by = f"another program: {holder}" if holder else "another program"
        return f"the database is locked by {by}; readings wait until it lets go"
    if code == sqlite3.SQLITE_FULL or _no_space(database):
        return "the disk is full; readings wait until there is space"
    return f"the database can't be written now: {error}"


def _code(error: Exception) -> int:
    """Primary result code (sqlite.org/rescode.html); peewee's errors carry SQLite's own, or one another that does."""
    while (origin := getattr(error, "orig", None)) is not None:
        error = origin
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _no_space(database: Path) -> bool:
    """Whether less than a page and its journal fits on the disk; a full disk may show as an I/O error."""
    try:
        stat = os.statvfs(database.parent)
    except OSError:
        return False
    return bool(stat.f_bavail * stat.f_frsize < 65_536)
