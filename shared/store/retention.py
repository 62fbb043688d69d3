"""What becomes too old goes, in small steps, so that the file keeps its size."""

from __future__ import annotations

import sqlite3

AGED = {"REAL_VAL_TB": "at", "OUTLIER_VAL_TB": "at", "PRED_VAL_TB": "issued_at"}
"""Table to the column that says how old a row is. Hourly values, nights and anomalies stay for ever."""
KEY = "WHERE site = ?1 AND sensor = ?2"


def forget(connection: sqlite3.Connection, now: int, keep: int, step: int) -> int:
    """Deletes rows more than `keep` seconds old, at most `step` seconds of each sensor and table; returns how many.

    Age counts from `now` or from the sensor's newest reading, whichever is earlier, so a clock that runs ahead
    deletes nothing.
    """
    sensors = connection.execute("SELECT DISTINCT site, sensor FROM HOURLY_VAL_TB").fetchall()
    return sum(_forget(connection, sensor, now - keep, keep, step) for sensor in sensors)


def _forget(connection: sqlite3.Connection, sensor: tuple[str, str], before: int, keep: int, step: int) -> int:
    newest = connection.execute(f"SELECT max(at) FROM REAL_VAL_TB {KEY}", sensor).fetchone()[0]
    if newest is None:
        return 0
    before = min(before, newest - keep)
    deleted = 0
    for table, column in AGED.items():
        for channel in ("flow_rate", "pressure") if table == "PRED_VAL_TB" else (None,):
            key = KEY + (f" AND channel = '{channel}'" if channel else "")
            first = connection.execute(f"SELECT min({column}) FROM {table} {key}", sensor).fetchone()[0]
            if first is not None and first < before:
                limit = min(before, first + step)
                sql = f"DELETE FROM {table} {key} AND {column} < ?3"
                deleted += connection.execute(sql, (*sensor, limit)).rowcount
    return deleted
