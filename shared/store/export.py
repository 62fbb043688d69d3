"""Export of wvr.db tables as CSV with ISO 8601 times and offset."""

from __future__ import annotations

import bisect
import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from peewee import SqliteDatabase

_VERDICTS = """SELECT site, sensor, at, 'flow_rate' AS channel, flow_rate_system AS system, flow_rate_value AS value,
        flow_rate_prediction AS prediction, flow_rate_night AS night FROM OUTLIER_VAL_TB
    UNION ALL SELECT site, sensor, at, 'pressure', pressure_system, pressure_value, pressure_prediction, NULL
        FROM OUTLIER_VAL_TB ORDER BY 1, 2, 3, 4"""
QUERIES = {
    "readings": "SELECT site, sensor, at, flow_rate, pressure FROM REAL_VAL_TB ORDER BY 1, 2, 3",
    "verdicts": _VERDICTS,
    "anomalies": """SELECT id, site, sensor, channel, method, kind, severity, opened_at, cleared_at, peak, excess_m3h,
        text_ko || ' / ' || text_en AS text, channels, methods, trigger, onset_at, excess_low_m3h, excess_high_m3h,
        lost_m3, acknowledged, confirmed_cause, note, operator, closed FROM ANOMALY_TB
        ORDER BY site, sensor, opened_at, id""",
    "anomaly_states": """SELECT id, site, sensor, at, state, kind, severity, cleared_at, peak, excess_m3h,
        excess_low_m3h, excess_high_m3h, lost_m3, acknowledged, confirmed_cause, note, operator,
        text_ko || ' / ' || text_en AS text, closed FROM ANOMALY_STATE_TB ORDER BY 2, 3, 1, 4, 5""",
    "predictions": """SELECT site, sensor, channel, issued_at, at, p10, p50, p90, model FROM PRED_VAL_TB
        WHERE p50 IS NOT NULL ORDER BY 1, 2, 3, 4, 5""",
    "scores": """SELECT site, sensor, channel, at, horizon, model, error, inside, profile_error, hours, mae, coverage,
        profile_mae FROM SCORE_TB ORDER BY 1, 2, 3, 4, 5""",
    "night_flow": "SELECT site, sensor, at, flow_rate, pressure, minutes FROM NIGHT_FLOW_VAL_TB ORDER BY 1, 2, 3",
    "nights": """SELECT site, sensor, at, window_from, window_to, minimum_m3h, usual_m3h, limit_m3h, leak_m3h, flag
        FROM NIGHT_TB ORDER BY 1, 2, 3""",
    "notifications": """SELECT site, key, channel, at, state, severity, title, attempts, reason_ko, reason_en
        FROM NOTIFICATION_TB ORDER BY 1, 4, 2, 3""",
    "criteria": """SELECT site, sensor, valid_from, learned_from, learned_to, days, limits, profiles FROM CRITERIA_TB
        ORDER BY 1, 2, 3""",
    "sensor_states": "SELECT * FROM SENSOR_STATE_TB ORDER BY 1, 2, 3",
    "models": """SELECT site, sensor, channel, id, at, path, checksum, trained_from, trained_to, metrics, promoted,
        reason FROM MODEL_TB ORDER BY 1, 2, 3, at""",
}
TIME_COLUMNS = {"at", "opened_at", "onset_at", "cleared_at", "issued_at", "valid_from", "learned_from", "learned_to"}
TIME_COLUMNS |= {"trained_from", "trained_to", "since", "window_from", "window_to"}


def export(database: Path, table: str, out: Path) -> int:
    """Write one table to a CSV file; return the number of rows. Raises FileNotFoundError without a database."""
    if not database.exists():
        raise FileNotFoundError(f"{database}: database not found")
    source = SqliteDatabase(f"file:{database.resolve()}?mode=ro", uri=True, pragmas={"query_only": 1})
    try:
        cursor = source.execute_sql(QUERIES[table])
        columns = [column[0] for column in cursor.description]
        local = _local_time(source)
        time_indexes = {index for index, column in enumerate(columns) if column in TIME_COLUMNS}
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            return _write_rows(writer, cursor, time_indexes, local)
    finally:
        source.close()


def _write_rows(
    writer: Any, rows: Iterator[tuple[Any, ...]], time_indexes: set[int], local: Callable[[int], str]
) -> int:
    count = 0
    for row in rows:
        count += 1
        writer.writerow(
            local(value) if index in time_indexes and value is not None else value for index, value in enumerate(row)
        )
    return count


def _local_time(database: SqliteDatabase) -> Callable[[int], str]:
    """Return a function from epoch seconds to ISO 8601 with the site's offset at that instant."""
    offsets = database.execute_sql("SELECT start, seconds FROM ZONE_TB ORDER BY start").fetchall()
    starts = [start for start, _ in offsets]
    zones = [timezone(timedelta(seconds=seconds)) for _, seconds in offsets]

    def local(at: int) -> str:
        zone = zones[bisect.bisect_right(starts, at) - 1] if zones else UTC
        return datetime.fromtimestamp(at, zone).isoformat()

    return local
