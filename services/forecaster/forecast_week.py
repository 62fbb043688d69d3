"""The forecast of one channel for the next week: from the active model with enough data, else from the profile."""

from __future__ import annotations

from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from shared.contract.messages import Forecast
from shared.domain import profile_forecast
from shared.domain.features import LOOKBACK_HOURS, ModelInputs, Scaler, build_inputs, to_quantiles
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.local_time import offset_seconds
from shared.domain.profile_forecast import FORECAST_HOURS, QuantileForecast
from shared.domain.series import HOUR, Floats, Ints


class ForecastModel(Protocol):
    """A trained network and its scaling."""

    @property
    def id(self) -> str: ...
    @property
    def scaler(self) -> Scaler: ...
    def predict(self, inputs: ModelInputs) -> Floats:
        """Return quantiles (169, 3) in residual standard deviations."""
        ...


def horizon_local_hours(hour: int, zone: ZoneInfo) -> Ints:
    """Return the 169 local hours from an hour (epoch seconds // 3600) on."""
    hours: Ints = hour + np.arange(FORECAST_HOURS)
    first, last = (offset_seconds(int(edge) * HOUR, zone) // HOUR for edge in (hours[0], hours[-1]))
    if first != last:
        offsets = [offset_seconds(utc_hour * HOUR, zone) // HOUR for utc_hour in hours.tolist()]
        return hours + np.array(offsets, dtype=np.int64)
    return np.asarray(hours + first)


def forecast(
    model: ForecastModel | None,
    values: Floats,
    local_hours: Ints,
    ahead: Ints,
    calendar: HolidayCalendar = NO_HOLIDAYS,
) -> Forecast:
    """Forecast the 169 local hours `ahead` from the hourly means before them; empty when no value is known."""
    values, local_hours = values[-LOOKBACK_HOURS:], local_hours[-LOOKBACK_HOURS:]
    if model and (inputs := build_inputs(values, local_hours, ahead, model.scaler, calendar)):
        quantiles = model.predict(inputs)
        if np.isfinite(quantiles).all():
            return _to_message(model.id, to_quantiles(inputs, quantiles), values)
    profile = profile_forecast.fit(values, local_hours, calendar)
    if not profile:
        return Forecast("profile")
    return _to_message("profile", profile_forecast.forecast(profile, ahead), values)


def _to_message(model: str, week: QuantileForecast, values: Floats) -> Forecast:
    """Round to four decimals; no quantile is below zero where no value is."""
    lowest = min(0.0, float(np.nanmin(values)))
    p10, p50, p90 = (tuple(np.round(np.maximum(p, lowest), 4).tolist()) for p in (week.p10, week.p50, week.p90))
    return Forecast(model, p10, p50, p90)
