"""The stored minutes of the present day."""

from __future__ import annotations

from datetime import datetime

from services.dashboard.live_state import Minute
from shared.settings import Settings
from shared.store.read_connection import ReadConnection

SQL = "SELECT at, flow_rate, pressure FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND at >= ? AND clock != 'doubted'"


class TodayQuery(ReadConnection):
    """The readings of one site."""

    def minutes_since(self, sensor: str, start: datetime) -> list[Minute]:
        """Return the readings from a time on. Raises Unavailable."""
        rows = self._rows(SQL, sensor, int(start.timestamp()))
        return [(self._local(at), flow_rate, pressure) for at, flow_rate, pressure in rows]


def minutes_since(settings: Settings, sensor: str, start: datetime) -> list[Minute]:
    """Return the stored readings of a sensor from a time on; none without a database. Raises Unavailable."""
    query = TodayQuery(settings.database, settings.zone, settings.site.name)
    try:
        return query.minutes_since(sensor, start)
    finally:
        query._close()
