"""Stored readings of one channel become hourly means to learn from: gathered and cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from shared.domain import profile_forecast
from shared.domain.features import LOOKBACK_HOURS, ModelInputs, Scaler, build_inputs
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.local_time import local_seconds
from shared.domain.profile_forecast import FORECAST_HOURS, QuantileForecast
from shared.domain.series import DAY, HOUR, Floats, Ints, Series, hourly_means

MAX_DAYS = 400
"""Days that are learned from at most."""


class HistoryReader(Protocol):
    """What is read of stored history."""

    def sensors(self) -> list[str]: ...
    def readings(self, sensor: str, start: int, stop: int) -> Series: ...
    def reading_range(self, sensor: str) -> tuple[int, int] | None: ...
    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]: ...


@dataclass(frozen=True)
class HourlySeries:
    """Hourly means of one channel without a gap in time, NaN where unknown or abnormal."""

    sensor: str
    channel: str
    start_at: int
    """Epoch seconds of the first."""
    values: Floats
    local_hours: Ints
    """Local hours, AHEAD more of them than values."""
    known_days: int
    """Days of readings, anomalies among them: those of which at least half of the hours are known."""
    calendar: HolidayCalendar = NO_HOLIDAYS

    def inputs_at(self, hour: int, scaler: Scaler) -> ModelInputs | None:
        """What the network would have seen at the start of an hour (its index)."""
        past = slice(max(0, hour - LOOKBACK_HOURS), hour)
        return build_inputs(
            self.values[past],
            self.local_hours[past],
            self.local_hours[hour : hour + FORECAST_HOURS],
            scaler,
            self.calendar,
        )

    def profile_at(self, hour: int) -> QuantileForecast | None:
        """What the profile would have forecast at the start of an hour."""
        past = slice(max(0, hour - LOOKBACK_HOURS), hour)
        found = profile_forecast.fit(self.values[past], self.local_hours[past], self.calendar)
        return profile_forecast.forecast(found, self.local_hours[hour : hour + FORECAST_HOURS]) if found else None

    def actuals_from(self, hour: int, stop: int) -> Floats:
        """The 169 hours from an hour on, NaN from `stop` on."""
        seen: Floats = np.full(FORECAST_HOURS, np.nan)
        there = self.values[hour : min(hour + FORECAST_HOURS, stop)]
        seen[: len(there)] = there
        return seen


def load_training_data(
    history: HistoryReader,
    sensor: str,
    channels: tuple[str, ...],
    stop: int,
    zone: ZoneInfo,
    calendar: HolidayCalendar = NO_HOLIDAYS,
) -> Iterator[HourlySeries]:
    """Hours of each channel that was ever measured, up to `stop` (epoch seconds)."""
    span = history.reading_range(sensor)
    stop = stop // HOUR * HOUR
    if span is None:
        return
    start = max(-(-span[0] // HOUR) * HOUR, stop - MAX_DAYS * DAY)
    readings = history.readings(sensor, start, stop)
    spans = history.anomaly_spans(sensor, start, stop)
    starts = np.arange(start, stop + FORECAST_HOURS * HOUR, HOUR)
    local = local_seconds(starts, zone) // HOUR
    for channel in channels:
        values = hourly_means(readings.at, readings.channel(channel), start, stop).values
        if not np.isnan(values).all():
            clean = _mask_anomalies(values, spans, start)
            yield HourlySeries(sensor, channel, start, clean, local, _count_known_days(values, local), calendar)


def _count_known_days(values: Floats, local: Ints) -> int:
    days = (local[: len(values)] - local[0]) // 24
    return int(np.count_nonzero(np.bincount(days, weights=~np.isnan(values)) >= 12))


def _mask_anomalies(values: Floats, spans: list[tuple[int, int]], start: int) -> Floats:
    """Hours inside anomalies become unknown, unless that would be most of what is known."""
    clean = values.copy()
    for opened, cleared in spans:
        clean[max(0, (opened - start) // HOUR) : max(0, -(-(cleared - start) // HOUR))] = np.nan
    return clean if 2 * np.count_nonzero(~np.isnan(clean)) >= np.count_nonzero(~np.isnan(values)) else values
