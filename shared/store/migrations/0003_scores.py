"""SCORE_TB: how good each forecast was, once its hour had come, and a view in local time."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator

COLUMNS = """site TEXT NOT NULL, sensor TEXT NOT NULL, channel TEXT NOT NULL, at INTEGER NOT NULL,
    horizon INTEGER NOT NULL, model TEXT NOT NULL, error REAL NOT NULL, inside INTEGER NOT NULL, profile_error REAL,
    hours INTEGER NOT NULL, mae REAL NOT NULL, coverage REAL NOT NULL, profile_mae REAL"""
LOCAL = "datetime(at + (SELECT seconds FROM ZONE_TB WHERE start <= at ORDER BY start DESC LIMIT 1), 'unixepoch') AS at"


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Makes the table and its view."""
    database.execute_sql(
        f"CREATE TABLE SCORE_TB ({COLUMNS}, PRIMARY KEY (site, sensor, channel, at, horizon)) WITHOUT ROWID"
    )
    database.execute_sql(
        f"CREATE VIEW SCORE_VIEW AS SELECT site, sensor, channel, {LOCAL}, horizon, model, error, inside, "
        "profile_error, hours, mae, coverage, profile_mae FROM SCORE_TB"
    )
