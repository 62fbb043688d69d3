"""ANOMALY_TB gets the fields of the new Anomaly, ANOMALY_STATE_TB holds every state, MODEL_TB the Korean reason."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator

ADDED = {
    "ANOMALY_TB": (
        "channels TEXT NOT NULL DEFAULT ''",
        "methods TEXT NOT NULL DEFAULT ''",
        "trigger TEXT NOT NULL DEFAULT ''",
        "onset_at INTEGER NOT NULL DEFAULT 0",
        "excess_low_m3h REAL",
        "excess_high_m3h REAL",
        "lost_m3 REAL",
        "confirmed_cause TEXT",
        "note TEXT NOT NULL DEFAULT ''",
        "operator TEXT NOT NULL DEFAULT ''",
    ),
    "MODEL_TB": ("reason_ko TEXT NOT NULL DEFAULT ''",),
}
STATES = """site TEXT NOT NULL, sensor TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL,
    kind TEXT NOT NULL, severity TEXT NOT NULL, acknowledged INTEGER NOT NULL, cleared_at INTEGER, peak REAL,
    excess_m3h REAL, excess_low_m3h REAL, excess_high_m3h REAL, lost_m3 REAL, confirmed_cause TEXT, note TEXT NOT NULL,
    operator TEXT NOT NULL, text_ko TEXT NOT NULL, text_en TEXT NOT NULL"""
TRIGGERS = {"unit": "'step', 'out_of_range'", "drift": "'step'", "last_night": "'step'"}
"""Triggers that differ from the kind, and the kinds that they raise; ids begin with sensor-channel-trigger."""
TIMES = {"at", "opened_at", "cleared_at", "onset_at", "trained_from", "trained_to"}


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Add the columns, fill them from the old ones, and make the table of states."""
    for table, columns in ADDED.items():
        for column in columns:
            database.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    database.execute_sql(
        "UPDATE ANOMALY_TB SET channels = channel, methods = method, trigger = kind, onset_at = opened_at"
    )
    for trigger, kinds in TRIGGERS.items():
        prefix = f"sensor || '-' || channel || '-{trigger}-'"
        database.execute_sql(
            f"UPDATE ANOMALY_TB SET trigger = '{trigger}' "
            f"WHERE kind IN ({kinds}) AND substr(id, 1, length({prefix})) = {prefix}"
        )
    database.execute_sql(
        f"CREATE TABLE ANOMALY_STATE_TB ({STATES}, PRIMARY KEY (site, sensor, id, at, state)) WITHOUT ROWID"
    )
    database.execute_sql(
        "INSERT INTO ANOMALY_STATE_TB SELECT site, sensor, id, at, state, kind, severity, acknowledged, cleared_at, "
        "peak, excess_m3h, NULL, NULL, NULL, NULL, '', '', text_ko, text_en FROM ANOMALY_TB"
    )
    for table in ("ANOMALY_TB", "ANOMALY_STATE_TB", "MODEL_TB"):
        view = table.replace("_TB", "_VIEW")
        names = [row[1] for row in database.execute_sql(f"PRAGMA table_info({table})")]
        shown = ", ".join(_local(name) if name in TIMES else name for name in names)
        database.execute_sql(f"DROP VIEW IF EXISTS {view}")
        database.execute_sql(f"CREATE VIEW {view} AS SELECT {shown} FROM {table}")


def _local(column: str) -> str:
    offset = f"(SELECT seconds FROM ZONE_TB WHERE start <= {column} ORDER BY start DESC LIMIT 1)"
    return f"datetime({column} + {offset}, 'unixepoch') AS {column}"
