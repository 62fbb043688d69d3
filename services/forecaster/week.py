"""The week ahead of one channel: from the model in use where it has seen enough, else from the profile."""

from __future__ import annotations

from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from shared.contract.messages import Forecast
from shared.domain import profile
from shared.domain.calendar import NO_HOLIDAYS, Calendar
from shared.domain.features import MEMORY, Inputs, Scaler, inputs, outlook
from shared.domain.profile import AHEAD, Outlook
from shared.domain.series import HOUR, Floats, Ints
from shared.domain.timing import offset_seconds


class Model(Protocol):
    """A trained network and its scaling."""

    @property
    def id(self) -> str: ...
    @property
    def scaler(self) -> Scaler: ...
    def answer(self, inputs: Inputs) -> Floats:
        """(169, 3) quantiles in usual deviations."""
        ...


def hours_ahead(hour: int, zone: ZoneInfo) -> Ints:
    """The 169 local hours from an hour (epoch seconds // 3600) on."""
    hours: Ints = hour + np.arange(AHEAD)
    first, last = (offset_seconds(int(one) * HOUR, zone) // HOUR for one in (hours[0], hours[-1]))
    if first != last:
        return hours + np.array([offset_seconds(int(one) * HOUR, zone) // HOUR for one in hours], dtype=np.int64)
    return np.asarray(hours + first)


def forecast(
    model: Model | None, values: Floats, local_hours: Ints, ahead: Ints, calendar: Calendar = NO_HOLIDAYS
) -> Forecast:
    """Quantiles of the 169 local hours `ahead` from the hourly means before them; empty when nothing is known."""
    values, local_hours = values[-MEMORY:], local_hours[-MEMORY:]
    if model and (seen := inputs(values, local_hours, ahead, model.scaler, calendar)):
        answer = model.answer(seen)
        if np.isfinite(answer).all():
            return _say(model.id, outlook(seen, answer), values)
    usual = profile.learn(values, local_hours, calendar)
    return _say("profile", profile.forecast(usual, ahead), values) if usual else Forecast("profile")


def _say(model: str, week: Outlook, values: Floats) -> Forecast:
    """Rounded to four decimals; never below zero where the meter never is."""
    lowest = min(0.0, float(np.nanmin(values)))
    p10, p50, p90 = (tuple(np.round(np.maximum(p, lowest), 4).tolist()) for p in (week.p10, week.p50, week.p90))
    return Forecast(model, p10, p50, p90)
