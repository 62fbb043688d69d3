"""One channel of one sensor: its methods, and the readings of the day so far."""

from __future__ import annotations

import math

import numpy as np

from services.detector.calibration import parameters_of
from services.detector.day_history import MINUTES_PER_DAY, Float32s
from services.detector.methods import METHODS
from services.detector.methods.forecast_deviation import ForecastDeviation, Quantiles
from services.detector.methods.level_shift import LevelShiftDetector
from services.detector.methods.sensor_health import SensorHealth
from shared.contract.messages import NOT_EVALUATED, Channel, Check, Criteria
from shared.domain.series import Floats
from shared.settings import Range

Checks = tuple[Check, Check, Check]
ALL_NAN = [math.nan] * MINUTES_PER_DAY
NOT_MEASURED_CHECKS: Checks = (NOT_EVALUATED, NOT_EVALUATED, NOT_EVALUATED)


class ChannelModel:
    """Runs the methods system, value and prediction on one channel."""

    def __init__(self, channel: Channel, allowed_range: Range) -> None:
        self.channel, self._allowed_range = channel, allowed_range
        self.observed: list[float] = [math.nan] * MINUTES_PER_DAY
        self.expected: list[float] = []
        self.expected_mean = 0.0
        """Mean of the day; 0 when nothing is expected of it."""
        self.forecasts: list[Quantiles | None] = [None] * 24
        self.health = SensorHealth(channel, None, allowed_range)
        self.level_shift = LevelShiftDetector(None)
        self.forecast_deviation = ForecastDeviation(None)

    def apply_criteria(self, criteria: Criteria | None, partner: ChannelModel | None) -> None:
        """Apply new criteria; keep the state of runs, gaps and open shifts."""
        parameters = {method: parameters_of(criteria, f"{self.channel}.{method}") for method in METHODS}
        health, level_shift = (partner.health, partner.level_shift) if partner else (None, None)
        self.health = SensorHealth(self.channel, parameters["system"], self._allowed_range, health).carry_state_from(
            self.health
        )
        self.level_shift = LevelShiftDetector(parameters["value"], level_shift).carry_state_from(self.level_shift)
        self.forecast_deviation = ForecastDeviation(parameters["prediction"])

    def start_day(self, expected: list[float], residuals: Floats) -> None:
        """Start a day with its 1440 expected values and the residuals of the two days before."""
        self.observed = [math.nan] * MINUTES_PER_DAY
        self.forecasts = [None] * 24
        self.expected = expected if expected and expected[0] == expected[0] else []
        self.expected_mean = sum(self.expected) / MINUTES_PER_DAY
        self.level_shift.start_day(self.expected, residuals)
        self.forecast_deviation.start_day(self.expected)

    def start_hour(self, hour: int, forecast: Quantiles | None) -> None:
        """Start an hour of the day with its forecast."""
        self.forecasts[hour] = forecast
        self.forecast_deviation.start_hour(hour, forecast)

    def skip(self, minutes: int) -> None:
        """Skip minutes of the day without a reading."""
        self.level_shift.skip(minutes)
        self.forecast_deviation.window_scores.skip(minutes)

    def check(self, minute: int, value: float | None) -> Checks:
        """Return the checks of a value at a minute of the day; a faulty value is evaluated by method system only."""
        health = self.health
        if value is None or value != value:
            if not health.is_measured:
                return NOT_MEASURED_CHECKS
            value = None
        system_check = health.check(value, self.expected[minute] if self.expected else math.nan)
        if health.fault:
            value = None
        elif value is not None:
            self.observed[minute] = value
        return system_check, self.level_shift.check(minute, value), self.forecast_deviation.check(minute, value)

    def forecast_array(self) -> Float32s:
        """Return the day's forecasts, (24, 3); NaN where there was none."""
        missing = (math.nan, math.nan, math.nan)
        return np.array([forecast or missing for forecast in self.forecasts], dtype=np.float32)
