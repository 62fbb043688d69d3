"""Classifies SQLite errors: transient, corruption, or a wrong statement."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from peewee import PeeweeException

from shared.contract.status_codes import Problem, problem
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
"""Errors that pass without a change of the message."""


def is_corruption(error: Exception) -> bool:
    """Whether the database file itself is corrupt."""
    return _code(error) in CORRUPTION_CODES


def transient_problem(error: Exception, database: Path) -> Problem | None:
    """Return the problem that will pass, or None if waiting does not help."""
    code = _code(error)
    if code not in TRANSIENT_CODES:
        return None
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        writer = foreign_writer(database)
        return problem("database_locked_by", holder=writer) if writer else problem("database_locked")
    if code == sqlite3.SQLITE_FULL or _no_space(database):
        return problem("disk_full")
    return problem("database_not_writable", reason=error)


def _code(error: Exception) -> int:
    """Return the primary result code (sqlite.org/rescode.html). peewee's errors wrap SQLite's own, possibly twice."""
    while (origin := getattr(error, "orig", None)) is not None:
        error = origin
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _no_space(database: Path) -> bool:
    """Whether the disk lacks room for a page and its journal; a full disk may show as an I/O error."""
    try:
        stat = os.statvfs(database.parent)
    except OSError:
        return False
    return bool(stat.f_bavail * stat.f_frsize < 65_536)
