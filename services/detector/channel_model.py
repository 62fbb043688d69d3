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
from shared.contract.messages import NOT_EVALUATED, Cadence, Channel, Check, Criteria
from shared.domain.cadence import HABIT_DAYS, DayCadence, day_cadence, hold_minutes, hold_values, late_minutes
from shared.domain.series import Floats
from shared.domain.value_ranges import Bounds
from shared.settings.sections import Meter

Checks = tuple[Check, Check, Check]
ALL_NAN = [math.nan] * MINUTES_PER_DAY
NOT_MEASURED_CHECKS: Checks = (NOT_EVALUATED, NOT_EVALUATED, NOT_EVALUATED)


class ChannelModel:
    """Runs the methods system, value and prediction on one channel."""

    def __init__(self, channel: Channel, meter: Meter, silence_minutes: int) -> None:
        """silence_minutes: minutes after which the channel is silent at the earliest."""
        self.channel, self._meter, self._silence_minutes = channel, meter, silence_minutes
        self.measured: list[float] = [math.nan] * MINUTES_PER_DAY
        """Values of the day so far, without those of a faulty meter."""
        self.expected: list[float] = []
        self.expected_mean = 0.0
        """Mean of the day; 0 when nothing is expected of it."""
        self.forecasts: list[Quantiles | None] = [None] * 24
        self.health = SensorHealth(channel, None, meter)
        self.level_shift = LevelShiftDetector(None)
        self.forecast_deviation = ForecastDeviation(None)
        self._cadences: list[DayCadence] = []
        """Of the days before, oldest first."""
        self._hold_minutes = 1
        self.hold_minutes_left = 0
        """Minutes for which the last value still counts."""
        self._late_minutes: int | None = None
        """That of a day with known cadences before it."""

    @property
    def interval_minutes(self) -> int:
        """Interval of the values: as set, that of the last day, or of today so far; 0 if unknown."""
        if self._meter.every:
            return self._meter.every
        if self._cadences:
            return self._cadences[-1].interval_minutes
        return day_cadence(np.flatnonzero(~np.isnan(self.measured)), min_intervals=1).interval_minutes

    @property
    def bounds(self) -> Bounds:
        """Lowest and highest value that the meter can show."""
        return self._meter.bounds

    @property
    def late_minutes(self) -> int:
        """Minutes without a value after which the channel is silent."""
        if late := self._meter.late or self._late_minutes:
            return late
        return late_minutes(self._cadences, self.interval_minutes, self._silence_minutes)

    @property
    def cadence(self) -> Cadence | None:
        """Interval and lateness of the values; None while the interval is unknown."""
        interval = self.interval_minutes
        return Cadence(interval, self.late_minutes) if interval else None

    @property
    def is_silent(self) -> bool:
        """Whether no value came for longer than the channel's habit allows."""
        return self.health.missing_minutes + self._hold_minutes > self.late_minutes

    def apply_criteria(self, criteria: Criteria | None, partner: ChannelModel | None) -> None:
        """Apply new criteria; keep the state of runs, gaps and open shifts."""
        parameters = {method: parameters_of(criteria, f"{self.channel}.{method}") for method in METHODS}
        health, level_shift = (partner.health, partner.level_shift) if partner else (None, None)
        self.health = SensorHealth(self.channel, parameters["system"], self._meter, health).carry_state_from(
            self.health
        )
        self.level_shift = LevelShiftDetector(parameters["value"], level_shift).carry_state_from(self.level_shift)
        self.forecast_deviation = ForecastDeviation(parameters["prediction"])

    def start_day(self, expected: list[float], residuals: Floats, cadences: list[DayCadence]) -> None:
        """Start a day with its 1440 expected values, the residuals of two days before, and the cadences of all."""
        self.measured = [math.nan] * MINUTES_PER_DAY
        self._cadences = cadences[-HABIT_DAYS:]
        self._hold_minutes = hold_minutes(self.interval_minutes)
        self._late_minutes = None
        self._late_minutes = self.late_minutes if cadences else None
        self.forecasts = [None] * 24
        self.expected = expected if expected and expected[0] == expected[0] else []
        self.expected_mean = sum(self.expected) / MINUTES_PER_DAY
        self.level_shift.start_day(self.expected, residuals)
        self.forecast_deviation.start_day(self.expected)

    def values_so_far(self) -> Floats:
        """Return (1440,) values of the day so far, each for as long as it counts."""
        return hold_values(np.array(self.measured), self._hold_minutes)

    def start_hour(self, hour: int, forecast: Quantiles | None) -> None:
        """Start an hour of the day with its forecast."""
        self.forecasts[hour] = forecast
        self.forecast_deviation.start_hour(hour, forecast)

    def skip(self, minutes: int) -> None:
        """Skip minutes of the day for which no value counts."""
        self.hold_minutes_left = 0
        self.health.skip()
        self.level_shift.skip(minutes)
        self.forecast_deviation.window_scores.skip(minutes)

    def check(self, minute: int, value: float | None) -> Checks:
        """Return the checks of a value at a minute of the day; a faulty value is evaluated by method system only.

        A minute without a value has the last one for as long as it counts.
        """
        health, system_check = self.health, NOT_EVALUATED
        if value is None or value != value:
            if self.hold_minutes_left:
                self.hold_minutes_left -= 1
                health.stuck_minutes += 1
                value = health.last_value
            elif health.is_measured:
                system_check, value = health.check(None, math.nan), None
            else:
                return NOT_MEASURED_CHECKS
        else:
            system_check = health.check(value, self.expected[minute] if self.expected else math.nan)
            self.hold_minutes_left = self._hold_minutes - 1
            if not health.fault:
                self.measured[minute] = value
        if health.fault:
            value = None
        return system_check, self.level_shift.check(minute, value), self.forecast_deviation.check(minute, value)

    def forecast_array(self) -> Float32s:
        """Return the day's forecasts, (24, 3); NaN where there was none."""
        missing = (math.nan, math.nan, math.nan)
        return np.array([forecast or missing for forecast in self.forecasts], dtype=np.float32)
