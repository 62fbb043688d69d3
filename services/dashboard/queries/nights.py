"""Minimum night flow by night, and before and after a repair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from statistics import fmean

from services.dashboard.queries.database import Database
from services.dashboard.queries.events import Event, read_repairs
from services.dashboard.queries.site_time import (
    DAY,
    HOUR,
    epoch_at,
    is_real_hour,
    local_date,
    local_days,
    midnight,
    next_midnight,
)

EARLIER_NIGHT_HOURS = (2, 3, 4)
"""Local hours, from 02:00 up to 05:00, of the nights before the detector wrote its results."""
MIN_HOURS = 2
"""A night with fewer of these hours has no minimum; the spring change takes one."""
REPAIR_NIGHTS = 14
"""Nights that are averaged before and after a repair."""
MIN_REPAIR_NIGHTS = 3
"""Fewer nights give no mean."""


@dataclass(frozen=True, slots=True)
class Night:
    """Minimum night flow of one night, m³/h."""

    day: date
    """Local day on which the night ended."""
    at: int
    """Middle of the window, epoch seconds."""
    minimum_m3h: float
    usual_m3h: float | None = None
    limit_m3h: float | None = None
    """Excess above which a single night is abnormal."""
    leak_m3h: float | None = None
    """Excess of the last nights together, as the leak check estimates it."""
    flag: int | None = None
    """1 abnormal, 0 normal, None not evaluated."""

    @property
    def excess_m3h(self) -> float | None:
        return None if self.usual_m3h is None else self.minimum_m3h - self.usual_m3h

    @property
    def criterion_m3h(self) -> float | None:
        """Minimum night flow above which the night is abnormal."""
        return None if self.usual_m3h is None or self.limit_m3h is None else self.usual_m3h + self.limit_m3h


@dataclass(frozen=True, slots=True)
class Repair:
    """Mean minimum night flow before, during and after an incident, m³/h; None with too few nights."""

    event: Event
    before_m3h: float | None
    during_m3h: float | None
    after_m3h: float | None
    before_nights: int
    after_nights: int

    @property
    def saved_m3h(self) -> float | None:
        """Night flow while it was open less the night flow after it."""
        if self.during_m3h is None or self.after_m3h is None:
            return None
        return self.during_m3h - self.after_m3h

    @property
    def remaining_m3h(self) -> float | None:
        """Night flow after it less the night flow before it."""
        return None if self.before_m3h is None or self.after_m3h is None else self.after_m3h - self.before_m3h


_NIGHTS_SQL = """SELECT at, (window_from + window_to) / 2, minimum_m3h, usual_m3h, limit_m3h, leak_m3h, flag
    FROM NIGHT_TB WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4 ORDER BY at"""
_HOURS_SQL = """SELECT at, flow_rate_mean FROM HOURLY_VAL_TB
    WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4 AND flow_rate_mean IS NOT NULL"""


def read_nights(database: Database, sensor: str, start: int, stop: int) -> list[Night]:
    """Return the nights that ended on the local days of [start, stop), oldest first. Raises Unavailable.

    The detector's result of a night; where there is none, the lowest hourly mean between 02:00 and 05:00.
    """
    days = list(local_days(start, stop, database.zone))
    if not days:
        return []
    first, last = midnight(days[0], database.zone), next_midnight(days[-1], database.zone)
    hours: dict[int, float] = dict(database.rows(_HOURS_SQL, sensor, first, last))
    nights = {day: night for day in days if (night := _earlier_night(database, day, hours))}
    for at, middle, *values in database.rows(_NIGHTS_SQL, sensor, first, last):
        day = local_date(at, database.zone)
        nights[day] = Night(day, middle, *values)
    return [nights[day] for day in sorted(nights)]


def _earlier_night(database: Database, day: date, hours: dict[int, float]) -> Night | None:
    zone = database.zone
    starts = [epoch_at(day, hour, zone) for hour in EARLIER_NIGHT_HOURS if is_real_hour(day, hour, zone)]
    means = [(mean, start) for start in starts if (mean := hours.get(start - start % HOUR)) is not None]
    if len(means) < MIN_HOURS:
        return None
    minimum, start = min(means)
    return Night(day, start + HOUR // 2, minimum)


def read_repaired(database: Database, sensor: str, start: int, stop: int) -> list[Repair]:
    """Return the bursts and leaks that were cleared in [start, stop), with the nights around each."""
    return [_repair(database, sensor, event) for event in read_repairs(database, sensor, start, stop)]


def _repair(database: Database, sensor: str, event: Event) -> Repair:
    """Nights before the estimated beginning, nights in full while it was open, nights after it was cleared."""
    cleared = event.cleared_at or event.updated_at
    reach = REPAIR_NIGHTS * DAY
    nights = read_nights(database, sensor, event.onset_at - reach, cleared + reach + DAY)
    before = [night for night in nights if event.onset_at - reach <= night.at < event.onset_at]
    during = [night for night in nights if event.onset_at <= night.at < cleared]
    after = [night for night in nights if cleared <= night.at < cleared + reach]
    return Repair(
        event,
        mean_minimum(before, MIN_REPAIR_NIGHTS),
        mean_minimum(during),
        mean_minimum(after, MIN_REPAIR_NIGHTS),
        len(before),
        len(after),
    )


def mean_minimum(nights: Iterable[Night], fewest: int = 1) -> float | None:
    """Return the mean minimum night flow, m³/h; None with fewer nights than `fewest`."""
    minima = [night.minimum_m3h for night in nights]
    return fmean(minima) if len(minima) >= max(1, fewest) else None
