"""prediction (예측값): the mean of the last minutes against the forecast of this hour, in parts of its own spread.

A minute is off by so many of its band, widened by the noise that minutes had at that hour: bands of another forecaster,
narrower or wider than those that were learned from, change little.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.memory import Past
from services.detector.methods.scales import Scales
from services.detector.methods.spreads import (
    LOWEST,
    Learned,
    daily_maxima,
    days_of,
    farthest,
    learn_sides,
    rounded,
    spread_by_hour,
    standings,
)
from services.detector.tail import limit_for
from shared.contract import messages
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

PARTS = {10: 0.3, 30: 0.3, 60: 0.4}
"""Minutes of the windows, and the part of the false alarms that each may raise."""
WINDOWS = tuple(PARTS)
NORMAL_SPREAD = 2.5631
"""p90 - p10 of a normal distribution in standard deviations."""
ENOUGH = 2
"""Days with forecasts from which on the method speaks."""

Quantiles = tuple[float, float, float]
FirstHours = tuple[Quantiles | None, Quantiles | None]


def learn(past: Past, per_day: float) -> Learned | None:
    """Spreads and limits for false alarms per day; None while there were too few forecasts."""
    off, deviation = _residuals(past)
    days = days_of(past, off)
    if days is None or days.known.sum() < ENOUGH:
        return None
    noise = np.array([rounded(float(one)) for one in spread_by_hour(off, days.calm, np.nan)])
    found = standings(off / np.repeat(np.hypot(deviation, noise), 60, axis=1), days.calm, WINDOWS)
    limits = learn_sides(found, days, per_day, per_day, PARTS)
    limits["limit"] = max(limit_for(daily_maxima(farthest(found, limits), days), per_day), LOWEST)
    limits = {name: float(f"{limit:.6g}") for name, limit in limits.items()}
    return Learned(limits, found.learned | {"noise": tuple(noise.tolist())})


def _residuals(past: Past) -> tuple[Floats, Floats]:
    """(n, 1440) minutes off the forecast and (n, 24) standard deviations of the bands, in the channel's unit."""
    deviation = (past.forecasts[:, :, 2] - past.forecasts[:, :, 0]) / NORMAL_SPREAD
    hours = past.usual.reshape(-1, 24, 60)
    shape = np.nan_to_num((hours - hours.mean(axis=2, keepdims=True)).reshape(-1, 1440))
    expected = np.repeat(past.forecasts[:, :, 1], 60, axis=1) + shape
    return past.values - expected, deviation


def first_hours(message: messages.Prediction) -> FirstHours:
    """p10, p50, p90 of flow rate and pressure in the hour a prediction was issued; None where unsaid."""
    return _first(message.flow_rate), _first(message.pressure)


def _first(forecast: messages.Forecast) -> Quantiles | None:
    if not forecast.p50:
        return None
    low, middle, high = forecast.p10[0], forecast.p50[0], forecast.p90[0]
    return None if low is None or middle is None or high is None else (low, middle, high)


class Prediction:
    """Running side, of one channel."""

    def __init__(self, learned: Learned | None) -> None:
        self.scales = Scales(WINDOWS, learned)
        self._noise = learned.profiles["noise"] if learned else (0.0,) * 24
        self._scale = learned.profiles["scale"] if learned else (1.0,) * 24
        self._hour = 0
        self._shape: list[float] = []
        self._expected = math.nan
        self._inverse = 0.0

    def open_day(self, usual: list[float]) -> None:
        """Begins a day; the hour's shape within itself is that of the usual day."""
        self.scales.open_day(np.empty(0))
        hours = np.array(usual).reshape(-1, 60)
        self._shape = (hours - hours.mean(axis=1, keepdims=True)).ravel().tolist()

    def open_hour(self, hour: int, forecast: Quantiles | None) -> None:
        """Begins an hour of the day with its p10, p50, p90, or none."""
        if forecast is None:
            self._expected = math.nan
            return
        low, self._expected, high = forecast
        self._inverse = 1.0 / max(math.hypot((high - low) / NORMAL_SPREAD, self._noise[hour]), 1e-12)

    def check(self, minute: int, value: float | None) -> Check:
        """The Check of a value at a minute of the day."""
        scales, expected = self.scales, self._expected
        if value is None or expected != expected or not scales.limit:
            scales.skip(1)
            return NOT_EVALUATED
        shape = self._shape[minute] if self._shape else 0.0
        self._hour = minute // 60
        scales.take((value - expected - shape) * self._inverse, self._hour)
        return scales.check()

    def excess(self) -> float:
        """Mean excess over the farthest window, in the channel's unit."""
        scales = self.scales
        return scales.mean(scales.window) * self._scale[self._hour] / self._inverse if self._inverse else 0.0
