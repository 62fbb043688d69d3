"""Write connection to wvr.db: repairs it at the start, and rolls back after any error."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from peewee import SqliteDatabase
from playhouse import migrations

from shared.contract.service import Unavailable
from shared.contract.status_codes import Problem, problem
from shared.store.repair import last_repair, repair
from shared.store.schema import MIGRATIONS, newer_schema_problem
from shared.store.sqlite_errors import DATABASE_ERRORS, is_corruption, transient_problem
from shared.store.tables import ZoneOffsets, insert_sql
from shared.store.zone_offsets import zone_offsets

WRITE_PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": 1,
    "busy_timeout": 2000,
    "cache_size": -32_000,
    "journal_size_limit": 16_000_000,
}
NEW_DATABASE_PRAGMAS = {"auto_vacuum": "INCREMENTAL", **WRITE_PRAGMAS}
"""For a file without tables; setting it again needs the write lock."""


class WriteConnection:
    """The database of the only writer, which holds the lock."""

    def __init__(self, path: Path, zone: ZoneInfo) -> None:
        """Repair, open or create the database. Raises Unavailable."""
        self._path, self._zone = path, zone
        self.repair_problem: Problem | None = None
        """The last repair, until its .txt file is deleted."""
        self._damage_reported = self._replaced = False
        self.database = self._open()

    def _open(self, assume_corrupt: bool = False) -> SqliteDatabase:
        at = datetime.now(self._zone)
        self._replaced = bool(repair(self._path, self._path.parent / "backup", at, assume_corrupt))
        self.repair_problem = last_repair(self._path)
        exists = self._path.exists() and self._path.stat().st_size > 0
        database = SqliteDatabase(str(self._path), pragmas=WRITE_PRAGMAS if exists else NEW_DATABASE_PRAGMAS)
        try:
            runner = migrations.Runner(database, str(MIGRATIONS))
            if schema_problem := newer_schema_problem(list(runner.applied())):
                raise Unavailable(schema_problem)
            runner.up()
            stored_offsets = database.execute_sql("SELECT start, seconds FROM ZONE_TB ORDER BY start").fetchall()
            if stored_offsets != (offsets := zone_offsets(self._zone)):
                with database.atomic("IMMEDIATE"):
                    database.execute_sql("DELETE FROM ZONE_TB")
                    database.connection().executemany(insert_sql(ZoneOffsets), offsets)
        except Unavailable:
            database.close()
            raise
        except DATABASE_ERRORS as error:
            database.close()
            reason = transient_problem(error, self._path) or problem("database_not_openable", reason=error)
            raise Unavailable(reason) from error
        return database

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all or nothing. Raises Unavailable for a transient reason; the next transaction starts clean."""
        connection = self.database.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
        except DATABASE_ERRORS as error:
            self._roll_back(connection)
            if is_corruption(error):
                self.repair(self._damage_reported)
                self._damage_reported = True
                raise Unavailable(problem("database_retried", reason=error)) from error
            if reason := transient_problem(error, self._path):
                raise Unavailable(reason) from error
            raise
        except BaseException:
            self._roll_back(connection)
            raise
        self._damage_reported = False

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Roll back unless SQLite already did; reopen a connection that cannot."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.database.close()

    def repair(self, assume_corrupt: bool = False) -> None:
        """Check and reopen the database; `assume_corrupt`: replace it whatever the check finds.

        A replacement ends the process: the state of the services must not be written to the other database.
        """
        self.database.close()
        self.database = self._open(assume_corrupt)
        if self._replaced:
            raise SystemExit(self.repair_problem.text.en if self.repair_problem else "wvr.db was replaced")
