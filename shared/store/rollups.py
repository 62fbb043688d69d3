"""Rollups of minute rows: hourly values, and ten-minute means of the night."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.domain.series import HOUR
from shared.domain.value_ranges import ValueRanges
from shared.store.rows import Row

NIGHT_STEP_SECONDS = 600
NIGHT_START_HOUR, NIGHT_END_HOUR = 22, 5
"""Local hours of the night, from 22:00 up to 05:00."""

_USABLE = """(SELECT site, sensor, CASE WHEN flow_rate BETWEEN ? AND ? THEN flow_rate END AS flow_rate,
    CASE WHEN pressure BETWEEN ? AND ? THEN pressure END AS pressure
    FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND at >= ? AND at < ? AND clock != 'doubted')"""
"""Readings whose time is believed, without the values that the meter can't show."""
_HOURLY_SQL = f"""INSERT OR REPLACE INTO HOURLY_VAL_TB
SELECT site, sensor, ?, count(*), min(flow_rate), avg(flow_rate), max(flow_rate),
       min(pressure), avg(pressure), max(pressure)
FROM {_USABLE} GROUP BY site, sensor"""
_NIGHT_SQL = f"""INSERT OR REPLACE INTO NIGHT_FLOW_VAL_TB
SELECT site, sensor, ?, avg(flow_rate), avg(pressure), count(*)
FROM {_USABLE} GROUP BY site, sensor"""


class Rollups:
    """Determines which rollups new minutes change, and how to compute them."""

    def __init__(self, zone: ZoneInfo, ranges: ValueRanges) -> None:
        self._zone, self._ranges = zone, ranges
        self._nights: dict[int, bool] = {}

    def updates_for(self, minutes: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
        """Yield SQL with the keys of every hour, and of every ten minutes at night, that contain a minute."""
        slots = {(site, sensor, at - at % NIGHT_STEP_SECONDS) for site, sensor, at, *_ in minutes}
        hours = {(site, sensor, at - at % HOUR) for site, sensor, at in slots}
        yield _HOURLY_SQL, [self._key(*hour, HOUR) for hour in sorted(hours)]
        yield _NIGHT_SQL, [self._key(*slot, NIGHT_STEP_SECONDS) for slot in sorted(slots) if self._in_night(slot[2])]

    def _in_night(self, at: int) -> bool:
        if len(self._nights) > 100_000:
            self._nights.clear()
        if at not in self._nights:
            hour = datetime.fromtimestamp(at, self._zone).hour
            self._nights[at] = hour >= NIGHT_START_HOUR or hour < NIGHT_END_HOUR
        return self._nights[at]

    def _key(self, site: str, sensor: str, start: int, length: int) -> Row:
        flow_rate, pressure = self._ranges.of(sensor)
        return (start, *flow_rate, *pressure, site, sensor, start, start + length)
