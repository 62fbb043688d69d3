"""Read-only connection to wvr.db; it reconnects after the database was repaired or restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from peewee import SqliteDatabase

from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.store.schema import APPLIED_SQL, newer_schema_problem, older_schema_problem
from shared.store.sqlite_errors import DATABASE_ERRORS, is_corruption, transient_problem

READ_PRAGMAS = {"query_only": 1, "cache_size": -256}
"""A cache of 256 KiB is enough: rows are read once, and the system caches the file."""


class ReadConnection:
    """The stored rows of one site; none while there is no database."""

    def __init__(self, path: Path, zone: ZoneInfo, site: str) -> None:
        self._path, self._zone, self._site = path, zone, site
        self._database: SqliteDatabase | None = None
        self._file = 0

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside are of one instant, whatever db_writer stores, unless the file is replaced."""
        database = self._begin()
        try:
            yield
        finally:
            if database is not None and database is self._database:
                with suppress(*DATABASE_ERRORS):
                    database.rollback()

    def _begin(self) -> SqliteDatabase | None:
        with self._translate_errors():
            database = self._open()
            if database is not None:
                database.begin("DEFERRED")
            return database

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self._zone)

    def _one(self, sql: str, *keys: Any) -> int | None:
        return next((row[0] for row in self._rows(sql, *keys)), None)

    def _rows(self, sql: str, *keys: Any) -> Iterator[tuple[Any, ...]]:
        with self._translate_errors():
            database = self._open()
            return iter(database.execute_sql(sql, (self._site, *keys)).fetchall()) if database else iter(())

    def _named_rows(self, sql: str, *keys: Any) -> Iterator[dict[str, Any]]:
        """Yield each row as column name to value."""
        with self._translate_errors():
            database = self._open()
            if database is None:
                return
            cursor = database.execute_sql(sql, (self._site, *keys))
            rows, names = cursor.fetchall(), [column[0] for column in cursor.description]
        yield from (dict(zip(names, row, strict=True)) for row in rows)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate transient database errors to Unavailable; the next read opens a new connection."""
        try:
            yield
        except DATABASE_ERRORS as error:
            self._close()
            reason = problem("database_damaged") if is_corruption(error) else transient_problem(error, self._path)
            if reason is None:
                raise
            raise Unavailable(reason) from error

    def _open(self) -> SqliteDatabase | None:
        """Open the database once db_writer has created its tables; reopen one that was replaced.

        A read-only URI never creates an empty file.
        """
        file = self._path.stat().st_ino if self._path.exists() else 0
        if file != self._file:
            self._close()
        if self._database is None and file:
            database = SqliteDatabase(f"file:{self._path.resolve()}?mode=ro", uri=True, pragmas=READ_PRAGMAS)
            if self._is_created(database):
                applied = [row[0] for row in database.execute_sql(APPLIED_SQL)]
                if schema_problem := newer_schema_problem(applied) or older_schema_problem(applied):
                    database.close()
                    raise Unavailable(schema_problem)
                self._database, self._file = database, file
            else:
                database.close()
        return self._database

    def _is_created(self, database: SqliteDatabase) -> bool:
        """Return whether db_writer has created all tables: it fills ZONE_TB after the last migration."""
        if database.execute_sql("SELECT 1 FROM sqlite_master WHERE name = 'ZONE_TB'").fetchone():
            return database.execute_sql("SELECT 1 FROM ZONE_TB").fetchone() is not None
        return False

    def _close(self) -> None:
        if self._database:
            self._database.close()
        self._database, self._file = None, 0
