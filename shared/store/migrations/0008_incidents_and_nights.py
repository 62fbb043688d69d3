"""Closed anomalies and their causes; EXPECTED_TB, NIGHT_TB and NOTIFICATION_TB for the dashboard."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator

CAUSES = {"meter_fault": "meter", "demand": "use", "other": "unknown", "none": "unknown"}
"""Confirmed causes that have another name now."""
EXPECTED = """site TEXT NOT NULL, sensor TEXT NOT NULL, at INTEGER NOT NULL,
    flow_rate_expected TEXT NOT NULL, flow_rate_low TEXT NOT NULL, flow_rate_high TEXT NOT NULL,
    pressure_expected TEXT NOT NULL, pressure_low TEXT NOT NULL, pressure_high TEXT NOT NULL"""
NIGHT = """site TEXT NOT NULL, sensor TEXT NOT NULL, at INTEGER NOT NULL, window_from INTEGER NOT NULL,
    window_to INTEGER NOT NULL, minimum_m3h REAL NOT NULL, usual_m3h REAL, limit_m3h REAL, leak_m3h REAL,
    flag INTEGER"""
NOTIFICATION = """site TEXT NOT NULL, key TEXT NOT NULL, channel TEXT NOT NULL, at INTEGER NOT NULL,
    state TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, attempts INTEGER NOT NULL,
    reason_ko TEXT NOT NULL, reason_en TEXT NOT NULL"""
TABLES = {
    "EXPECTED_TB": (EXPECTED, "site, sensor, at"),
    "NIGHT_TB": (NIGHT, "site, sensor, at"),
    "NOTIFICATION_TB": (NOTIFICATION, "site, key, channel"),
}
"""Table to its columns and key."""
TIMES = {"at", "opened_at", "cleared_at", "onset_at", "window_from", "window_to"}


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Add the column, rename the causes, and make the tables with their views."""
    for table in ("ANOMALY_TB", "ANOMALY_STATE_TB"):
        database.execute_sql(f"ALTER TABLE {table} ADD COLUMN closed INTEGER NOT NULL DEFAULT 0")
        for old, new in CAUSES.items():
            database.execute_sql(f"UPDATE {table} SET confirmed_cause = '{new}' WHERE confirmed_cause = '{old}'")
    # A maintenance window silences the methods that it lists; all did so far.
    database.execute_sql("UPDATE ANOMALY_TB SET methods = 'system,value,prediction,night' WHERE kind = 'works'")
    for table, (columns, key) in TABLES.items():
        database.execute_sql(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID")
    for table in ("ANOMALY_TB", "ANOMALY_STATE_TB", *TABLES):
        view = table.replace("_TB", "_VIEW")
        names = [row[1] for row in database.execute_sql(f"PRAGMA table_info({table})")]
        shown = ", ".join(_local(name) if name in TIMES else name for name in names)
        database.execute_sql(f"DROP VIEW IF EXISTS {view}")
        database.execute_sql(f"CREATE VIEW {view} AS SELECT {shown} FROM {table}")


def _local(column: str) -> str:
    offset = f"(SELECT seconds FROM ZONE_TB WHERE start <= {column} ORDER BY start DESC LIMIT 1)"
    return f"datetime({column} + {offset}, 'unixepoch') AS {column}"
