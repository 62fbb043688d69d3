"""Deletes expired rows in small steps, so that the file keeps its size."""

from __future__ import annotations

import sqlite3

from shared.domain.reading_clock import EARLIEST_SECONDS
from shared.domain.series import HOUR

AGE_COLUMNS = {
    "REAL_VAL_TB": "at",
    "OUTLIER_VAL_TB": "at",
    "PRED_VAL_TB": "issued_at",
    "SCORE_TB": "at",
    "EXPECTED_TB": "at",
}
"""Table to the column with the age of a row. Hourly values, nights and anomalies never expire."""
TABLES_BY_CHANNEL = {"PRED_VAL_TB", "SCORE_TB"}
"""Tables whose key has the channel before the time."""
KEY = "WHERE site = ?1 AND sensor = ?2"
NEWEST_HOURS = f"SELECT at FROM HOURLY_VAL_TB {KEY} ORDER BY at DESC"


def delete_expired(connection: sqlite3.Connection, now: int, keep: int, step: int) -> int:
    """Delete rows older than `keep` seconds, at most `step` seconds per sensor and table; return how many.

    Rows from before 2010 are of a meter clock that was never set: their age is unknown and they stay.

    A row expires if it is old by the clock (`now`) and newer hours with readings cover `keep`. So no clock that is
    ahead expires a stored year: not the machine's, not the meter's, and not both.
    """
    sensors = connection.execute("SELECT DISTINCT site, sensor FROM HOURLY_VAL_TB").fetchall()
    return sum(_delete_expired_of_sensor(connection, sensor, now - keep, keep, step) for sensor in sensors)


def _delete_expired_of_sensor(
    connection: sqlite3.Connection, sensor: tuple[str, str], before: int, keep: int, step: int
) -> int:
    first = connection.execute(
        f"SELECT min(at) FROM REAL_VAL_TB {KEY} AND at >= {EARLIEST_SECONDS}", sensor
    ).fetchone()[0]
    if first is None or first >= before:
        return 0
    oldest_covered = connection.execute(f"{NEWEST_HOURS} LIMIT 1 OFFSET {keep // HOUR}", sensor).fetchone()
    if oldest_covered is None:
        return 0
    before = min(before, oldest_covered[0] + HOUR)
    deleted = 0
    for table, column in AGE_COLUMNS.items():
        for channel in ("flow_rate", "pressure") if table in TABLES_BY_CHANNEL else (None,):
            key = KEY + (f" AND channel = '{channel}'" if channel else "") + f" AND {column} >= {EARLIEST_SECONDS}"
            first = connection.execute(f"SELECT min({column}) FROM {table} {key}", sensor).fetchone()[0]
            if first is not None and first < before:
                limit = min(before, first + step)
                sql = f"DELETE FROM {table} {key} AND {column} < ?3"
                deleted += connection.execute(sql, (*sensor, limit)).rowcount
    return deleted
