"""What the services do with each sensor, as stored in wvr.db. Standard library only."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

QUERY = "SELECT * FROM SENSOR_STATE_TB ORDER BY sensor, service"
CHANNEL_LABELS = {"flow_rate": "flow rate", "pressure": "pressure"}


def describe_sensors(database: Path) -> list[str]:
    """Return one line for each sensor: its cadence, since when it is judged and forecast, or why not.

    Empty while the database is missing, busy or of an older version.
    """
    if not database.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=2)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(QUERY).fetchall()
    except sqlite3.Error:
        return []
    by_sensor: dict[str, list[str]] = {}
    for row in rows:
        parts = by_sensor.setdefault(row["sensor"], [])
        parts += [row["text_en"], *_cadences(row)]
    return [f"sensor {sensor}: {'; '.join(parts)}" for sensor, parts in by_sensor.items()]


def _cadences(row: sqlite3.Row) -> list[str]:
    return [
        f"{label} every {interval} min, late after {row[f'{channel}_late']} min"
        for channel, label in CHANNEL_LABELS.items()
        if (interval := row[f"{channel}_interval"])
    ]
