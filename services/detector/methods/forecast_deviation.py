"""Method prediction (예측값): means of the last minutes against the forecast of the hour, standardised.

A residual is divided by the forecast's band, widened by the minute noise at that hour. The bands of another forecaster
therefore change little.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.day_history import TrainingDays
from services.detector.methods.standardise import (
    MIN_COMBINED_LIMIT,
    Parameters,
    daily_maxima,
    fit_two_sided_limits,
    max_limit_ratio,
    robust_std_by_hour,
    round_significant,
    standardise,
    usable_days,
)
from services.detector.methods.window_scores import WindowScores
from services.detector.threshold import threshold_for_rate
from shared.contract import messages
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

WINDOW_BUDGET = {10: 0.3, 30: 0.3, 60: 0.4}
"""Window length in minutes to its share of the false alarms."""
WINDOW_MINUTES = tuple(WINDOW_BUDGET)
P10_P90_IN_STD = 2.5631
"""p90 - p10 of a normal distribution, in standard deviations."""
MIN_FORECAST_DAYS = 2
"""Minimum days with forecasts before the method is used."""

Quantiles = tuple[float, float, float]
HourQuantiles = tuple[Quantiles | None, Quantiles | None]


def fit(days_of_channel: TrainingDays, per_day: float) -> Parameters | None:
    """Fit scales and limits for false alarms per day; None while there are too few forecasts."""
    residuals, band_std = _forecast_residuals(days_of_channel)
    days = usable_days(days_of_channel, residuals)
    if days is None or days.has_enough_data.sum() < MIN_FORECAST_DAYS:
        return None
    noise = np.array(
        [round_significant(float(value)) for value in robust_std_by_hour(residuals, days.reference, np.nan)]
    )
    means = standardise(residuals / np.repeat(np.hypot(band_std, noise), 60, axis=1), days.reference, WINDOW_MINUTES)
    limits = fit_two_sided_limits(means, days, per_day, per_day, WINDOW_BUDGET)
    limits["limit"] = max(
        threshold_for_rate(daily_maxima(max_limit_ratio(means, limits), days), per_day), MIN_COMBINED_LIMIT
    )
    limits = {name: float(f"{limit:.6g}") for name, limit in limits.items()}
    return Parameters(limits, means.profiles | {"noise": tuple(noise.tolist())})


def _forecast_residuals(days: TrainingDays) -> tuple[Floats, Floats]:
    """Return (n, 1440) residuals and (n, 24) standard deviations of the bands, in the channel's unit."""
    band_std = (days.forecasts[:, :, 2] - days.forecasts[:, :, 0]) / P10_P90_IN_STD
    hours = days.expected.reshape(-1, 24, 60)
    hour_shape = np.nan_to_num((hours - hours.mean(axis=2, keepdims=True)).reshape(-1, 1440))
    expected = np.repeat(days.forecasts[:, :, 1], 60, axis=1) + hour_shape
    return days.values - expected, band_std


def current_hour_quantiles(message: messages.Prediction) -> HourQuantiles:
    """Return p10, p50, p90 of flow rate and pressure for the hour of a prediction's issue; None where missing."""
    return _first_hour(message.flow_rate), _first_hour(message.pressure)


def _first_hour(forecast: messages.Forecast) -> Quantiles | None:
    if not forecast.p50:
        return None
    p10, p50, p90 = forecast.p10[0], forecast.p50[0], forecast.p90[0]
    return None if p10 is None or p50 is None or p90 is None else (p10, p50, p90)


class ForecastDeviation:
    """Running forecast deviation of one channel."""

    def __init__(self, parameters: Parameters | None) -> None:
        self.window_scores = WindowScores(WINDOW_MINUTES, parameters)
        self._minute_std = parameters.profiles["noise"] if parameters else (0.0,) * 24
        self._scale = parameters.profiles["scale"] if parameters else (1.0,) * 24
        self._hour = 0
        self._hour_shape: list[float] = []
        self._expected = math.nan
        self._inverse_std = 0.0

    def start_day(self, expected: list[float]) -> None:
        """Start a day; within an hour the forecast follows the shape of the expected day."""
        self.window_scores.start_day(np.empty(0))
        hours = np.array(expected).reshape(-1, 60)
        self._hour_shape = (hours - hours.mean(axis=1, keepdims=True)).ravel().tolist()

    def start_hour(self, hour: int, forecast: Quantiles | None) -> None:
        """Start an hour of the day with its p10, p50, p90, or none."""
        if forecast is None:
            self._expected = math.nan
            return
        p10, self._expected, p90 = forecast
        self._inverse_std = 1.0 / max(math.hypot((p90 - p10) / P10_P90_IN_STD, self._minute_std[hour]), 1e-12)

    def check(self, minute: int, value: float | None) -> Check:
        """Return the Check of a value at a minute of the day."""
        window_scores, expected = self.window_scores, self._expected
        if value is None or expected != expected or not window_scores.limit:
            window_scores.skip(1)
            return NOT_EVALUATED
        hour_shape = self._hour_shape[minute] if self._hour_shape else 0.0
        self._hour = minute // 60
        window_scores.update((value - expected - hour_shape) * self._inverse_std, self._hour)
        return window_scores.check()

    def excess(self) -> float:
        """Return the mean residual over the most deviating window, in the channel's unit."""
        window_scores = self.window_scores
        return (
            window_scores.mean(window_scores.window) * self._scale[self._hour] / self._inverse_std
            if self._inverse_std
            else 0.0
        )
