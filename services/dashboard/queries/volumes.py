"""Volume by local day, from hourly means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from services.dashboard.queries.database import Database
from services.dashboard.queries.site_time import HOUR, local_date, local_days, midnight, next_midnight


@dataclass(frozen=True, slots=True)
class DayVolume:
    """Volume that passed the meter on one local day."""

    day: date
    volume_m3: float
    """Of the hours with a mean: nothing is added for the others."""
    hours: int
    """Hours with a mean flow rate."""
    missing_hours: int
    """Hours of the day without one; the day has 23 or 25 hours where the clock changes."""


_SQL = """SELECT at, flow_rate_mean FROM HOURLY_VAL_TB
    WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at <= ?4 - 3600 AND flow_rate_mean IS NOT NULL"""


def read_volumes(database: Database, sensor: str, start: int, stop: int) -> list[DayVolume]:
    """Return the volume of each local day that overlaps [start, stop), the hours that ended by `stop`.

    An hour belongs to the day in which it starts. Raises Unavailable.
    """
    zone = database.zone
    days = list(local_days(start, stop, zone))
    if not days:
        return []
    means: dict[date, list[float]] = {day: [] for day in days}
    last = min(stop, next_midnight(days[-1], zone))
    for at, mean in database.rows(_SQL, sensor, midnight(days[0], zone), last):
        means[local_date(at, zone)].append(mean)
    volumes = []
    for day in days:
        end = min(last, next_midnight(day, zone))
        expected = (end - midnight(day, zone)) // HOUR
        hours = len(means[day])
        volumes.append(DayVolume(day, sum(means[day]), hours, max(0, expected - hours)))
    return volumes


def total_volume(volumes: Iterable[DayVolume]) -> float:
    """Return the volume of all days, m³."""
    return sum(day.volume_m3 for day in volumes)
