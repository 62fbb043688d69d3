"""Fit the limits of every method to the sensor's own anomaly-free days, for a given rate of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from services.detector.day_history import (
    CALIBRATION_DAYS,
    MINUTES_PER_DAY,
    RARE_EVENT_DAYS,
    DayHistory,
    TrainingDays,
    training_days,
)
from services.detector.expected_day import expected_day
from services.detector.methods import forecast_deviation, level_shift, night_flow, sensor_drift, sensor_health
from services.detector.methods.standardise import Parameters, round_significant
from shared.contract.messages import CHANNELS, Criteria

RECALIBRATION_DAYS = (2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 91)
"""Days of readings after which criteria are fitted; later, at the start of each quarter."""
FALSE_ALARM_BUDGET = {
    "flow_rate.system": 0.02,
    "flow_rate.value": 0.25,
    "flow_rate.prediction": 0.05,
    "flow_rate.night": 0.2,
    "flow_rate.last_night": 0.2,
    "flow_rate.drift": 0.06,
    "pressure.system": 0.02,
    "pressure.value": 0.07,
    "pressure.prediction": 0.03,
    "pressure.drift": 0.06,
}
"""Share of the false-alarm rate per method (decision 0021); the rest is for alarms that last for days."""
RATE_KEY = "false_alarms_per_week"
"""Key of the rate that a method's limits were fitted for, among these limits."""


@dataclass(frozen=True)
class CalibrationTargets:
    """What the operator demands of the criteria."""

    false_alarms_per_week: float
    stuck_minutes: int


def is_due(days: int, ordinal: int, last_calibration: int | None) -> bool:
    """Whether to calibrate on day `ordinal`, after so many days with readings and the given last calibration day."""
    if last_calibration is None:
        return days >= RECALIBRATION_DAYS[0]
    return days in RECALIBRATION_DAYS or (
        days > RECALIBRATION_DAYS[-1] and _quarter(ordinal) != _quarter(last_calibration)
    )


def _quarter(ordinal: int) -> tuple[int, int]:
    date = datetime.fromordinal(ordinal)
    return date.year, (date.month - 1) // 3


def calibrate(history: DayHistory, site: str, sensor: str, midnight: datetime, targets: CalibrationTargets) -> Criteria:
    """Fit criteria from the days before a local midnight; they are valid from there."""
    ordinal = midnight.toordinal()
    limits: dict[str, float] = {}
    profiles = _expected_week(history, ordinal)
    rates = {
        name: round_significant(share * targets.false_alarms_per_week) for name, share in FALSE_ALARM_BUDGET.items()
    }
    for name, parameters in _fit_all(history, ordinal, rates, targets.stuck_minutes).items():
        limits |= {f"{name}.{key}": limit for key, limit in parameters.limits.items()} | {
            f"{name}.{RATE_KEY}": rates[name]
        }
        profiles |= {f"{name}.{key}": curve for key, curve in parameters.profiles.items()}
    if "flow_rate.night.last" in limits:
        limits[f"flow_rate.night.last_{RATE_KEY}"] = rates["flow_rate.last_night"]
    anomaly_free = (
        training_days(history, ordinal, "flow_rate").anomaly_free
        | training_days(history, ordinal, "pressure").anomaly_free
    )
    oldest = history.days[0].ordinal
    learned_from = _local_midnight(max(oldest, ordinal - CALIBRATION_DAYS), midnight)
    return Criteria(
        site=site,
        sensor=sensor,
        valid_from=midnight,
        learned_from=learned_from,
        learned_to=midnight,
        days=int(anomaly_free.sum()),
        limits=limits,
        profiles=profiles,
    )


def _local_midnight(ordinal: int, midnight: datetime) -> datetime:
    date = datetime.fromordinal(ordinal)
    return midnight.replace(year=date.year, month=date.month, day=date.day)


def _fit_all(history: DayHistory, ordinal: int, rates: dict[str, float], stuck_minutes: int) -> dict[str, Parameters]:
    """Return "channel.method" to its parameters; rates: false alarms a week by the same names."""
    daily = {name: rate / 7 for name, rate in rates.items()}
    flow, pressure = (training_days(history, ordinal, channel) for channel in CHANNELS)
    level_shifts = _fit_level_shift(flow, pressure, daily)
    if len(history.days_before(ordinal, RARE_EVENT_DAYS)) > len(history.days_before(ordinal, CALIBRATION_DAYS)):
        long_flow, long_pressure = (training_days(history, ordinal, channel, RARE_EVENT_DAYS) for channel in CHANNELS)
        pairs = zip(level_shifts, _fit_level_shift(long_flow, long_pressure, daily), strict=True)
        level_shifts = [level_shift.tighten_limits(recent, long) for recent, long in pairs]
    fitted = {
        "flow_rate.system": sensor_health.fit(flow, daily["flow_rate.system"], stuck_minutes),
        "flow_rate.value": level_shifts[0],
        "flow_rate.prediction": forecast_deviation.fit(flow, daily["flow_rate.prediction"]),
        "flow_rate.night": night_flow.fit(flow, pressure, daily["flow_rate.night"], daily["flow_rate.last_night"]),
        "flow_rate.drift": sensor_drift.fit(flow, pressure, daily["flow_rate.drift"]),
        "pressure.system": sensor_health.fit(pressure, daily["pressure.system"], stuck_minutes),
        "pressure.value": level_shifts[1],
        "pressure.prediction": forecast_deviation.fit(pressure, daily["pressure.prediction"]),
        "pressure.drift": sensor_drift.fit(pressure, flow, daily["pressure.drift"]),
    }
    return {
        name: parameters
        for name, parameters in fitted.items()
        if parameters and all(map(math.isfinite, parameters.limits.values()))
    }


def _fit_level_shift(flow: TrainingDays, pressure: TrainingDays, daily: dict[str, float]) -> list[Parameters | None]:
    """Fit the level-shift method of both channels."""
    return [
        level_shift.fit(flow, pressure, daily["flow_rate.value"], rising=True),
        level_shift.fit(pressure, None, daily["pressure.value"], rising=False),
    ]


def _expected_week(history: DayHistory, ordinal: int) -> dict[str, tuple[float, ...]]:
    """Return "channel.usual" to 168 hourly values from Monday 00:00."""
    monday = ordinal + (1 - ordinal) % 7
    week = np.array(
        [expected_day(history, ordinal + (monday + day - ordinal) % 7) for day in range(7)], dtype=np.float64
    )
    hours = week.transpose(1, 0, 2).reshape(2, 7 * MINUTES_PER_DAY // 60, 60).mean(axis=2)
    channels = [(channel, row) for channel, row in zip(CHANNELS, hours, strict=True) if not np.isnan(row).any()]
    return {f"{channel}.usual": tuple(float(f"{value:.6g}") for value in row) for channel, row in channels}


def parameters_of(criteria: Criteria | None, name: str) -> Parameters | None:
    """Return the parameters of a "channel.method" in a Criteria message; None when it has none."""
    if criteria is None:
        return None
    prefix = f"{name}."
    limits = {key.removeprefix(prefix): limit for key, limit in criteria.limits.items() if key.startswith(prefix)}
    curves = {key.removeprefix(prefix): curve for key, curve in criteria.profiles.items() if key.startswith(prefix)}
    return Parameters(limits, curves) if limits else None
