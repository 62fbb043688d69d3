"""The stored rows of the site, read-only. A request opens its own connection, so none is shared between threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from shared.domain.value_ranges import UNBOUNDED, ValueRanges
from shared.store.read_connection import ReadConnection

USABLE_MINUTES = """(SELECT at, CASE WHEN flow_rate BETWEEN ?5 AND ?6 THEN flow_rate END AS flow_rate,
    CASE WHEN pressure BETWEEN ?7 AND ?8 THEN pressure END AS pressure
    FROM REAL_VAL_TB WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4 AND clock != 'doubted')"""
"""Minutes of [?3, ?4) whose time is believed, without the values that the meter can't show: as the rollups use them."""

_BELIEVED_MINUTES = "SELECT at FROM REAL_VAL_TB WHERE site = ?1 AND sensor = ?2 AND clock != 'doubted'"

_HOUR_SQL = "SELECT 1 FROM HOURLY_VAL_TB WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4 LIMIT 1"


class Database(ReadConnection):
    """Rows of one site; none while there is no database. `?1` of each statement is the site."""

    def __init__(self, path: Path, zone: ZoneInfo, site: str, ranges: ValueRanges = UNBOUNDED) -> None:
        super().__init__(path, zone, site)
        self.zone, self.ranges = zone, ranges

    @contextmanager
    def opened(self) -> Iterator[Database]:
        """All reads inside are of one instant; the connection is closed at the end. Raises Unavailable."""
        try:
            with self.snapshot():
                yield self
        finally:
            self._close()

    def rows(self, sql: str, *keys: Any) -> list[tuple[Any, ...]]:
        """Return all rows. Raises Unavailable."""
        return list(self._rows(sql, *keys))

    def named_rows(self, sql: str, *keys: Any) -> list[dict[str, Any]]:
        """Return all rows as column name to value. Raises Unavailable."""
        return list(self._named_rows(sql, *keys))

    def number(self, sql: str, *keys: Any) -> int | None:
        """Return the first column of the first row; None without a row. Raises Unavailable."""
        return self._one(sql, *keys)

    def usable_minutes(self, sensor: str, start: int, stop: int) -> tuple[Any, ...]:
        """Return the keys of USABLE_MINUTES after the site."""
        flow_rate, pressure = self.ranges.of(sensor)
        return (sensor, start, stop, *flow_rate, *pressure)

    def sensors(self) -> list[str]:
        """Return the sensors with readings that are not retired, by name. Raises Unavailable."""
        retired = dict(self._rows("SELECT sensor, retired_through FROM SENSOR_TB WHERE site = ?1"))
        names = [row[0] for row in self._rows("SELECT DISTINCT sensor FROM HOURLY_VAL_TB WHERE site = ?1 ORDER BY 1")]
        return [name for name in names if name not in retired or (self.newest_minute(name) or 0) > retired[name]]

    def oldest_minute(self, sensor: str) -> int | None:
        """Return the oldest stored minute, epoch seconds; older ones exist as hourly values only."""
        return self._one(f"{_BELIEVED_MINUTES} ORDER BY at LIMIT 1", sensor)

    def newest_minute(self, sensor: str) -> int | None:
        """Return the newest minute, epoch seconds."""
        return self._one(f"{_BELIEVED_MINUTES} ORDER BY at DESC LIMIT 1", sensor)

    def has_lost_minutes(self, sensor: str, start: int, stop: int) -> bool:
        """Return whether minutes of [start, stop) are no longer stored, so that only hourly values remain."""
        oldest = self.oldest_minute(sensor)
        end = stop if oldest is None else min(stop, oldest - oldest % 3600)
        return self._one(_HOUR_SQL, sensor, start - start % 3600, end) is not None
