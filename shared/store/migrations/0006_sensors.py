"""SENSOR_TB: sensors that an operator has retired, and up to which reading."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Make the table. A sensor with a later reading is no longer retired."""
    database.execute_sql(
        "CREATE TABLE SENSOR_TB (site TEXT NOT NULL, sensor TEXT NOT NULL, retired_through INTEGER NOT NULL, "
        "PRIMARY KEY (site, sensor)) WITHOUT ROWID"
    )
