"""Expected values and limits of stored days, by ten minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from services.dashboard.queries.database import Database
from services.dashboard.queries.site_time import DAY, MINUTE, wall_seconds
from shared.contract.messages import CHANNELS, Channel

TEN_MINUTES = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class ExpectedPoint:
    """What is expected in ten minutes; times are seconds of the site's wall clock."""

    wall_at: int
    expected: float
    low: float | None
    high: float | None


def read_expected(database: Database, sensor: str, channel: Channel, start: int, stop: int) -> list[ExpectedPoint]:
    """Return the expected values of the days that overlap [start, stop), epoch seconds.

    A limit that the meter can't show ends at the meter's range. Raises Unavailable.
    """
    sql = f"""SELECT at, {channel}_expected, {channel}_low, {channel}_high FROM EXPECTED_TB
        WHERE site = ?1 AND sensor = ?2 AND at > ?3 - {DAY + 3600} AND at < ?4 ORDER BY at"""
    lowest, highest = database.ranges.of(sensor)[CHANNELS.index(channel)]
    first, last = wall_seconds(start, database.zone), wall_seconds(stop, database.zone)
    points = []
    for at, *curves in database.rows(sql, sensor, start, stop):
        expected, low, high = (json.loads(curve or "[]") for curve in curves)
        day = wall_seconds(at, database.zone)
        for index, value in enumerate(expected):
            wall_at = day + index * TEN_MINUTES
            if first <= wall_at < last:
                limits = (max(low[index], lowest), min(high[index], highest)) if low and high else (None, None)
                points.append(ExpectedPoint(wall_at, value, *limits))
    return points
