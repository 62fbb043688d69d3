"""One channel of one sensor: its methods, and the day's minutes so far."""

from __future__ import annotations

import math

import numpy as np

from services.detector.criteria import part
from services.detector.memory import MINUTES, Singles
from services.detector.methods import METHODS
from services.detector.methods.prediction import Prediction, Quantiles
from services.detector.methods.system import System
from services.detector.methods.value import Value
from shared.contract.messages import NOT_EVALUATED, Channel, Check, Criteria
from shared.domain.series import Floats
from shared.settings import Range

Checks = tuple[Check, Check, Check]
UNMEASURED: Checks = (NOT_EVALUATED, NOT_EVALUATED, NOT_EVALUATED)


class Gauge:
    """Runs system, value and prediction on one channel."""

    def __init__(self, channel: Channel, allowed: Range) -> None:
        self.channel, self._allowed = channel, allowed
        self.minutes: list[float] = [math.nan] * MINUTES
        self.usual: list[float] = []
        self.usual_mean = 0.0
        """Of the day; 0 when nothing is expected of it."""
        self.empty = [math.nan] * MINUTES
        self.forecasts: list[Quantiles | None] = [None] * 24
        self.system = System(channel, None, allowed)
        self.value = Value(None)
        self.prediction = Prediction(None)

    def adopt(self, criteria: Criteria | None, partner: Gauge | None) -> None:
        """Goes by new criteria; a run or a gap of the meter goes on."""
        learned = {method: part(criteria, f"{self.channel}.{method}") for method in METHODS}
        system, value = (partner.system, partner.value) if partner else (None, None)
        self.system = System(self.channel, learned["system"], self._allowed, system).take_over(self.system)
        self.value = Value(learned["value"], value).take_over(self.value)
        self.prediction = Prediction(learned["prediction"])

    def open_day(self, usual: list[float], past: Floats) -> None:
        """Begins a day with what is expected of it, and the residuals of the two days before."""
        self.minutes = [math.nan] * MINUTES
        self.forecasts = [None] * 24
        self.usual = usual if usual and usual[0] == usual[0] else []
        self.usual_mean = sum(self.usual) / MINUTES
        self.value.open_day(self.usual, past)
        self.prediction.open_day(self.usual)

    def open_hour(self, hour: int, forecast: Quantiles | None) -> None:
        """Begins an hour of the day with its forecast."""
        self.forecasts[hour] = forecast
        self.prediction.open_hour(hour, forecast)

    def skip(self, minutes: int) -> None:
        """Passes minutes of the day without a reading."""
        self.value.skip(minutes)
        self.prediction.scales.skip(minutes)

    def check(self, minute: int, value: float | None) -> Checks:
        """Checks of a value at a minute of the day; what a faulty meter shows is not judged further."""
        system = self.system
        if value is None or value != value:
            if not system.measured:
                return UNMEASURED
            value = None
        checked = system.check(value, self.usual[minute] if self.usual else math.nan)
        if system.fault:
            value = None
        elif value is not None:
            self.minutes[minute] = value
        return checked, self.value.check(minute, value), self.prediction.check(minute, value)

    def stamp(self) -> Singles:
        """(24, 3) forecasts of the day; NaN where there was none."""
        nothing = (math.nan, math.nan, math.nan)
        return np.array([forecast or nothing for forecast in self.forecasts], dtype=np.float32)
