"""SENSOR_STATE_TB: what the detector and the forecaster do with each sensor, and its cadence."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator

COLUMNS = """site TEXT NOT NULL, sensor TEXT NOT NULL, service TEXT NOT NULL, at INTEGER NOT NULL,
    is_active INTEGER NOT NULL, since INTEGER, flow_rate_interval INTEGER, flow_rate_late INTEGER,
    pressure_interval INTEGER, pressure_late INTEGER, text_ko TEXT NOT NULL, text_en TEXT NOT NULL"""
REST = "flow_rate_interval, flow_rate_late, pressure_interval, pressure_late, text_ko, text_en"


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Make the table and its view; the services fill it at their next start."""
    database.execute_sql(f"CREATE TABLE SENSOR_STATE_TB ({COLUMNS}, PRIMARY KEY (site, sensor, service)) WITHOUT ROWID")
    database.execute_sql(
        f"CREATE VIEW SENSOR_STATE_VIEW AS SELECT site, sensor, service, {_local('at')}, is_active, {_local('since')}, "
        f"{REST} FROM SENSOR_STATE_TB"
    )


def _local(column: str) -> str:
    offset = f"(SELECT seconds FROM ZONE_TB WHERE start <= {column} ORDER BY start DESC LIMIT 1)"
    return f"datetime({column} + {offset}, 'unixepoch') AS {column}"
