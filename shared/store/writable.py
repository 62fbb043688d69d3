"""wvr.db opened for writing: mended first, all or nothing each time, and nothing half done after an error."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from peewee import SqliteDatabase
from playhouse import migrations

from shared.runtime.service import Unavailable
from shared.store.repair import heal, told
from shared.store.schema import MIGRATIONS, later
from shared.store.tables import ZoneOffsets, put
from shared.store.trouble import ERRORS, hindrance, is_damage
from shared.store.zone import offsets

PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": 1,
    "busy_timeout": 2000,
    "cache_size": -32_000,
    "journal_size_limit": 16_000_000,
}
NEW = {"auto_vacuum": "INCREMENTAL", **PRAGMAS}
"""Of a file that has no tables yet; to set it again needs the write lock."""


class WritableFile:
    """The database of the one writer, who holds the lock."""

    def __init__(self, path: Path, zone: ZoneInfo) -> None:
        """Mends, opens or makes it. Raises Unavailable."""
        self._path, self._zone = path, zone
        self.note = ""
        """What the operator must know of a repair, until its .txt is deleted."""
        self._doubted = self._replaced = False
        self.database = self._open()

    def _open(self, doubted: bool = False) -> SqliteDatabase:
        at = datetime.now(self._zone)
        self._replaced = bool(heal(self._path, self._path.parent / "backup", at, doubted))
        self.note = told(self._path)
        made = self._path.exists() and self._path.stat().st_size > 0
        database = SqliteDatabase(str(self._path), pragmas=PRAGMAS if made else NEW)
        try:
            runner = migrations.Runner(database, str(MIGRATIONS))
            if newer := later(list(runner.applied())):
                raise Unavailable(newer)
            runner.up()
            known = database.execute_sql("SELECT start, seconds FROM ZONE_TB ORDER BY start").fetchall()
            if known != (wanted := offsets(self._zone)):
                with database.atomic("IMMEDIATE"):
                    database.execute_sql("DELETE FROM ZONE_TB")
                    database.connection().executemany(put(ZoneOffsets), wanted)
        except Unavailable:
            database.close()
            raise
        except ERRORS as error:
            database.close()
            raise Unavailable(hindrance(error, self._path) or f"the database can't be opened: {error}") from error
        return database

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises Unavailable when it is nothing for a reason that passes; the next one starts clean."""
        connection = self.database.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
        except ERRORS as error:
            self._roll_back(connection)
            if is_damage(error):
                self.mend(self._doubted)
                self._doubted = True
                raise Unavailable(f"the database reported damage and is tried again: {error}") from error
            if what := hindrance(error, self._path):
                raise Unavailable(what) from error
            raise
        except BaseException:
            self._roll_back(connection)
            raise
        self._doubted = False

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """SQLite may have rolled back itself; a connection that can't is opened anew."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.database.close()

    def mend(self, doubted: bool = False) -> None:
        """Checks and opens the database again; doubted: it is replaced whatever the check says.

        A replaced one ends the process: what the services remember of the old one must not go into it.
        """
        self.database.close()
        self.database = self._open(doubted)
        if self._replaced:
            raise SystemExit(self.note)
