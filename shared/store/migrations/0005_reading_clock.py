"""REAL_VAL_TB says whether the time of a reading is believed; strays of older versions become doubted."""

from itertools import pairwise

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator

MAX_STRAY_READINGS = 5
"""So many readings a day ahead of all others were ignored by older versions."""
DAY_SECONDS = 86_400
LOCAL = "datetime(at + (SELECT seconds FROM ZONE_TB WHERE start <= at ORDER BY start DESC LIMIT 1), 'unixepoch') AS at"
VIEW_COLUMNS = f"site, sensor, {LOCAL}, flow_rate, pressure, source, clock"
KEY = "WHERE site = ? AND sensor = ?"


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Add the column and show it in the view."""
    database.execute_sql("ALTER TABLE REAL_VAL_TB ADD COLUMN clock TEXT NOT NULL DEFAULT 'ok'")
    database.execute_sql("DROP VIEW IF EXISTS REAL_VAL_VIEW")
    database.execute_sql(f"CREATE VIEW REAL_VAL_VIEW AS SELECT {VIEW_COLUMNS} FROM REAL_VAL_TB")
    for sensor in database.execute_sql("SELECT DISTINCT site, sensor FROM HOURLY_VAL_TB").fetchall():
        newest = f"SELECT at FROM REAL_VAL_TB {KEY} ORDER BY at DESC LIMIT {MAX_STRAY_READINGS + 1}"
        times = [row[0] for row in database.execute_sql(newest, sensor)]
        ends = [at for ahead, at in pairwise(times) if ahead - at > DAY_SECONDS]
        if ends:
            database.execute_sql(f"UPDATE REAL_VAL_TB SET clock = 'doubted' {KEY} AND at > ?", (*sensor, min(ends)))
