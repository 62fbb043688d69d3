"""SENSOR_STATE_TB: what the detector and the forecaster do with each sensor, and its cadence."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator

COLUMNS = """site TEXT NOT NULL, sensor TEXT NOT NULL, service TEXT NOT NULL, at INTEGER NOT NULL,
    is_active INTEGER NOT NULL, since INTEGER, flow_rate_interval INTEGER, flow_rate_late INTEGER,
    pressure_interval INTEGER, pressure_late INTEGER, text_ko TEXT NOT NULL, text_en TEXT NOT NULL"""


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Make the table; the services fill it at their next start."""
    database.execute_sql(f"CREATE TABLE SENSOR_STATE_TB ({COLUMNS}, PRIMARY KEY (site, sensor, service)) WITHOUT ROWID")
