"""Training data of a channel: hourly means of its stored readings, without the hours of anomalies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from shared.domain import profile_forecast
from shared.domain.features import LOOKBACK_HOURS, ModelInputs, Scaler, build_inputs
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.hourly_mean import USUAL_HOURS, required_values
from shared.domain.local_time import local_seconds
from shared.domain.profile_forecast import FORECAST_HOURS, QuantileForecast
from shared.domain.series import DAY, HOUR, Floats, Ints, Series

MAX_DAYS = 400
"""Days of training data at most."""
MIN_KNOWN_HOURS = 12
"""Known hours that a day of readings needs."""


class HistoryReader(Protocol):
    """Queries on stored history."""

    def active_sensors(self) -> list[str]: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def reading_range(self, sensor: str) -> tuple[int, int] | None: ...
    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]: ...


@dataclass(frozen=True)
class HourlySeries:
    """Hourly means of one channel without a gap in time, NaN where unknown or inside an anomaly."""

    sensor: str
    channel: str
    start_at: int
    """Start of the first hour, epoch seconds."""
    values: Floats
    local_hours: Ints
    """Local hours, FORECAST_HOURS more of them than values."""
    known_days: int
    """Days with readings in at least half of their hours, anomalies included."""
    calendar: HolidayCalendar = NO_HOLIDAYS

    def inputs_at(self, hour: int, scaler: Scaler) -> ModelInputs | None:
        """Return the network's inputs at the start of an hour (its index); None with too little data."""
        past, ahead = slice(max(0, hour - LOOKBACK_HOURS), hour), slice(hour, hour + FORECAST_HOURS)
        return build_inputs(self.values[past], self.local_hours[past], self.local_hours[ahead], scaler, self.calendar)

    def profile_at(self, hour: int) -> QuantileForecast | None:
        """Return the profile's forecast at the start of an hour (its index); None with too little data."""
        past = slice(max(0, hour - LOOKBACK_HOURS), hour)
        profile = profile_forecast.fit(self.values[past], self.local_hours[past], self.calendar)
        ahead = self.local_hours[hour : hour + FORECAST_HOURS]
        return profile_forecast.forecast(profile, ahead) if profile else None

    def actuals_from(self, hour: int, stop: int) -> Floats:
        """Return the 169 values from an hour (its index) on, NaN from `stop` on."""
        actuals: Floats = np.full(FORECAST_HOURS, np.nan)
        values = self.values[hour : min(hour + FORECAST_HOURS, stop)]
        actuals[: len(values)] = values
        return actuals


def load_training_data(
    history: HistoryReader,
    sensor: str,
    channels: tuple[str, ...],
    stop: int,
    zone: ZoneInfo,
    calendar: HolidayCalendar = NO_HOLIDAYS,
) -> Iterator[HourlySeries]:
    """Yield the hourly means before `stop` (epoch seconds) of each channel with any value."""
    span = history.reading_range(sensor)
    stop = stop // HOUR * HOUR
    if span is None:
        return
    start = max(-(-span[0] // HOUR) * HOUR, stop - MAX_DAYS * DAY)
    readings = history.readings(sensor, start, stop)
    anomalies = history.anomaly_spans(sensor, start, stop)
    hour_starts = np.arange(start, stop + FORECAST_HOURS * HOUR, HOUR)
    local_hours = local_seconds(hour_starts, zone) // HOUR
    for channel in channels:
        values = hourly_means(readings.at, readings.channel(channel), start, stop)
        if not np.isnan(values).all():
            masked = _mask_anomalies(values, anomalies, start)
            known_days = _count_known_days(values, local_hours)
            yield HourlySeries(sensor, channel, start, masked, local_hours, known_days, calendar)


def hourly_means(at: Ints, values: Floats, start: int, stop: int) -> Floats:
    """Return the means of the hours from `start` up to `stop` (exclusive; full hours in epoch seconds).

    NaN where fewer than half of an hour's usual values are known.
    """
    hours = max(0, (stop - start) // HOUR)
    is_known = ~np.isnan(values) & (at >= start) & (at < start + hours * HOUR)
    slot = (at[is_known] - start) // HOUR
    count = np.bincount(slot, minlength=hours)[:hours]
    total = np.bincount(slot, weights=values[is_known], minlength=hours)[:hours]
    counts = count.tolist()
    required = [required_values(counts[max(0, hour - USUAL_HOURS + 1) : hour + 1]) for hour in range(hours)]
    means: Floats = np.where(count >= required, total / np.maximum(count, 1), np.nan)
    return means


def _count_known_days(values: Floats, local_hours: Ints) -> int:
    days = (local_hours[: len(values)] - local_hours[0]) // 24
    return int(np.count_nonzero(np.bincount(days, weights=~np.isnan(values)) >= MIN_KNOWN_HOURS))


def _mask_anomalies(values: Floats, anomalies: list[tuple[int, int]], start: int) -> Floats:
    """Return the values with NaN inside anomalies, unless this would remove more than half of the known ones."""
    masked = values.copy()
    for opened, cleared in anomalies:
        masked[max(0, (opened - start) // HOUR) : max(0, -(-(cleared - start) // HOUR))] = np.nan
    return masked if 2 * np.count_nonzero(~np.isnan(masked)) >= np.count_nonzero(~np.isnan(values)) else values
