"""All tables of the first version, and a view in local time for each. Frozen: later changes are later files."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator

KEY = "site TEXT NOT NULL, sensor TEXT NOT NULL"
TABLES = {
    "REAL_VAL_TB": f"{KEY}, at INTEGER NOT NULL, flow_rate REAL, pressure REAL, source TEXT NOT NULL, "
    "PRIMARY KEY (site, sensor, at)",
    "OUTLIER_VAL_TB": f"{KEY}, at INTEGER NOT NULL, "
    "flow_rate_system INTEGER, flow_rate_value INTEGER, flow_rate_prediction INTEGER, flow_rate_night INTEGER, "
    "pressure_system INTEGER, pressure_value INTEGER, pressure_prediction INTEGER, PRIMARY KEY (site, sensor, at)",
    "ANOMALY_TB": f"{KEY}, id TEXT NOT NULL, at INTEGER NOT NULL, channel TEXT NOT NULL, method TEXT NOT NULL, "
    "kind TEXT NOT NULL, state TEXT NOT NULL, acknowledged INTEGER NOT NULL, severity TEXT NOT NULL, "
    "opened_at INTEGER NOT NULL, cleared_at INTEGER, peak REAL, excess_m3h REAL, "
    "text_ko TEXT NOT NULL, text_en TEXT NOT NULL, PRIMARY KEY (site, sensor, id)",
    "PRED_VAL_TB": f"{KEY}, channel TEXT NOT NULL, issued_at INTEGER NOT NULL, at INTEGER NOT NULL, "
    "p10 REAL, p50 REAL, p90 REAL, model TEXT NOT NULL, PRIMARY KEY (site, sensor, channel, issued_at, at)",
    "NIGHT_FLOW_VAL_TB": f"{KEY}, at INTEGER NOT NULL, flow_rate REAL, pressure REAL, minutes INTEGER NOT NULL, "
    "PRIMARY KEY (site, sensor, at)",
    "CRITERIA_TB": f"{KEY}, valid_from INTEGER NOT NULL, learned_from INTEGER NOT NULL, learned_to INTEGER NOT NULL, "
    "days INTEGER NOT NULL, limits TEXT NOT NULL, profiles TEXT NOT NULL, PRIMARY KEY (site, sensor, valid_from)",
    "MODEL_TB": f"{KEY}, channel TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, path TEXT NOT NULL, "
    "checksum TEXT NOT NULL, trained_from INTEGER NOT NULL, trained_to INTEGER NOT NULL, metrics TEXT NOT NULL, "
    "promoted INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (site, sensor, channel, id)",
    "HOURLY_VAL_TB": f"{KEY}, at INTEGER NOT NULL, minutes INTEGER NOT NULL, "
    "flow_rate_min REAL, flow_rate_mean REAL, flow_rate_max REAL, "
    "pressure_min REAL, pressure_mean REAL, pressure_max REAL, PRIMARY KEY (site, sensor, at)",
    "STORED_TB": "site TEXT NOT NULL PRIMARY KEY, boot_id TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL",
}
TIMES = {"at", "opened_at", "cleared_at", "issued_at", "valid_from", "learned_from", "learned_to", "trained_from"}
TIMES |= {"trained_to"}


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Makes the tables; ZONE_TB holds the site's UTC offsets (seconds) by the instant from which each is valid."""
    database.execute_sql("CREATE TABLE ZONE_TB (start INTEGER PRIMARY KEY, seconds INTEGER NOT NULL)")
    for table, columns in TABLES.items():
        database.execute_sql(f"CREATE TABLE {table} ({columns}) WITHOUT ROWID")
        names = [row[1] for row in database.execute_sql(f"PRAGMA table_info({table})")]
        shown = ", ".join(_local(name) if name in TIMES else name for name in names)
        database.execute_sql(f"CREATE VIEW {table.replace('_TB', '_VIEW')} AS SELECT {shown} FROM {table}")


def _local(column: str) -> str:
    offset = f"(SELECT seconds FROM ZONE_TB WHERE start <= {column} ORDER BY start DESC LIMIT 1)"
    return f"datetime({column} + {offset}, 'unixepoch') AS {column}"
