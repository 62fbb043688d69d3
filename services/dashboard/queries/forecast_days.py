"""The newest forecast by local day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from services.dashboard.queries.forecasts import ForecastHour
from services.dashboard.queries.site_time import HOUR, local_date, midnight, next_midnight


@dataclass(frozen=True, slots=True)
class ForecastDay:
    """Forecast of one local day, or of the part of it that the forecast covers."""

    day: date
    total: float
    """Sum of the hourly medians: m³ for flow rate."""
    lowest: ForecastHour
    highest: ForecastHour
    is_whole: bool
    """Whether the forecast covers all hours of the day."""


def by_day(hours: Iterable[ForecastHour], zone: ZoneInfo) -> list[ForecastDay]:
    """Return the days of a forecast, oldest first."""
    days: dict[date, list[ForecastHour]] = {}
    for hour in hours:
        days.setdefault(local_date(hour.at, zone), []).append(hour)
    return [
        ForecastDay(
            day,
            sum(hour.p50 for hour in group),
            min(group, key=lambda hour: hour.p50),
            max(group, key=lambda hour: hour.p50),
            len(group) * HOUR >= next_midnight(day, zone) - midnight(day, zone),
        )
        for day, group in days.items()
    ]
