"""Retires and renames sensors in wvr.db; only db_writer, or a command under the writer lock, does that."""

from __future__ import annotations

from peewee import SqliteDatabase

BELIEVED_NEWEST = """SELECT at FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND clock != 'doubted'
    ORDER BY at DESC LIMIT 1"""
SHARED_MINUTES = """SELECT count(*) FROM REAL_VAL_TB old JOIN REAL_VAL_TB new ON new.site = old.site AND new.sensor = ?3
    AND new.at = old.at WHERE old.site = ?1 AND old.sensor = ?2"""
TABLES_WITH_SENSOR = """SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'sensor'
    WHERE m.type = 'table'"""


def newest_reading(database: SqliteDatabase, site: str, sensor: str) -> int | None:
    """Return the newest minute of a sensor, epoch seconds; None if it has no readings."""
    row = database.execute_sql(BELIEVED_NEWEST, (site, sensor)).fetchone()
    return row[0] if row else None


def retire(database: SqliteDatabase, site: str, sensor: str) -> None:
    """Mark a sensor as retired, up to its newest reading."""
    newest = newest_reading(database, site, sensor) or 0
    database.execute_sql("INSERT OR REPLACE INTO SENSOR_TB VALUES (?, ?, ?)", (site, sensor, newest))


def count_shared_minutes(database: SqliteDatabase, site: str, old: str, new: str) -> int:
    """Return the number of minutes for which both sensors have a reading."""
    count: int = database.execute_sql(SHARED_MINUTES, (site, old, new)).fetchone()[0]
    return count


def rename(database: SqliteDatabase, site: str, old: str, new: str) -> None:
    """Give all rows of a sensor to another one; where both have a row of the same key, the other one's stays."""
    for (table,) in database.execute_sql(TABLES_WITH_SENSOR).fetchall():
        database.execute_sql(f"UPDATE OR IGNORE {table} SET sensor = ? WHERE site = ? AND sensor = ?", (new, site, old))
        database.execute_sql(f"DELETE FROM {table} WHERE site = ? AND sensor = ?", (site, old))
