"""Flow-pressure residual: demand does not change it; a burst or a new setting does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from services.detector.day_history import MINUTES_PER_DAY, Day, TrainingDays, average_to_ten_minutes, types_of_weekdays
from services.detector.methods.flow_pressure import LEVEL_DAYS, FlowPressureResidual, fit
from services.detector.methods.level_shift import WINDOW_MINUTES
from services.detector.methods.standardise import Parameters
from shared.domain.series import Floats

DAYS = 40
MEAN = 50.0
HOUR_INDEX = WINDOW_MINUTES.index(60)
EMPTY = np.zeros((0, 0), dtype=np.float32)
LARGE_SCORE = 3.0
"""Standard deviations."""


def flows(days: int, seed: int = 1) -> Floats:
    """Return (days, 1440) demand, m³/h, that varies by a tenth between days and within hours."""
    rng = np.random.default_rng(seed)
    hours = np.arange(MINUTES_PER_DAY) / 60
    shape = 1.0 - 0.6 * np.cos(2 * np.pi * (hours - 3) / 24)
    slow = np.repeat(rng.normal(0.0, 0.1, (days, 24)), 60, axis=1)
    return MEAN * shape * (1 + rng.normal(0.0, 0.1, (days, 1)) + slow) + rng.normal(0.0, 2.0, (days, MINUTES_PER_DAY))


def pressures(flow: Floats, seed: int = 2) -> Floats:
    """Return pressure in bar: a lower setting at night, and head loss by Hazen and Williams."""
    hour = np.arange(MINUTES_PER_DAY) // 60
    head = 5.0 - 0.8 * ((hour >= 23) | (hour < 6))
    noise = np.random.default_rng(seed).normal(0.0, 0.02, flow.shape)
    pressure: Floats = head - 0.5 * (np.maximum(flow, 0.0) / MEAN) ** 1.852 + noise
    return pressure


def training_days(values: Floats) -> TrainingDays:
    days = len(values)
    has_enough_data = np.ones(days, dtype=np.bool_)
    none = np.full((days, 24, 3), np.nan)
    numbers = np.arange(1, days + 1)
    return TrainingDays(
        numbers,
        types_of_weekdays((numbers - 1) % 7),
        values,
        np.zeros_like(values),
        none,
        average_to_ten_minutes(values),
        has_enough_data,
        has_enough_data,
    )


@cache
def fitted() -> Parameters:
    flow = flows(DAYS)
    fitted = fit(training_days(flow), training_days(pressures(flow)), np.ones(DAYS, dtype=np.bool_), WINDOW_MINUTES)
    assert fitted is not None
    # Keys that FlowPressureResidual reads from the profiles of the flow.
    flow_profiles = {"scale": (1.0,) * 24} | {f"spread_{window}": (1.0,) * 24 for window in WINDOW_MINUTES}
    return Parameters({}, fitted[1] | flow_profiles)


def last_day_scores(flow: Floats, pressure: Floats) -> Floats:
    """Return (1440,) scores of the last day, over an hour."""
    days = [
        Day(number, np.stack([day, other]), EMPTY, EMPTY, np.zeros((2, 144)))
        for number, (day, other) in enumerate(
            zip(flow.astype(np.float32), pressure.astype(np.float32), strict=True), start=1
        )
    ]
    head = FlowPressureResidual(WINDOW_MINUTES, fitted())
    head.start_day(len(days), days[-1 - LEVEL_DAYS : -1], np.full(MINUTES_PER_DAY, MEAN))
    residual = []
    for minute in range(MINUTES_PER_DAY):
        head.update(minute, float(flow[-1, minute]), float(pressure[-1, minute]))
        residual.append(head.window_scores.score_at(HOUR_INDEX))
    return np.array(residual)


def test_demand_does_not_change_residual() -> None:
    flow = flows(10, seed=3)
    flow[-1] *= 1.3  # far outside the range fitted to: the parabola must hold there, too
    assert np.abs(last_day_scores(flow, pressures(flow))).max() < 2 * LARGE_SCORE


@pytest.mark.parametrize(("near", "sign"), [(0.3, 1.0), (2.0, -1.0)])
def test_burst_of_five_percent_shows_within_half_an_hour(near: float, sign: float) -> None:
    flow = flows(10, seed=3)
    burst = np.zeros(MINUTES_PER_DAY)
    burst[12 * 60 :] = 0.05 * MEAN
    felt = flow.copy()
    felt[-1] += near * burst
    pressure = pressures(felt)
    flow[-1] += burst
    scores = sign * last_day_scores(flow, pressure)
    assert scores[8 * 60 : 12 * 60].max() < LARGE_SCORE < scores[12 * 60 + 30]


def test_new_setting_shows_within_a_day_and_is_level_after_a_week() -> None:
    flow = flows(20, seed=4)
    pressure = pressures(flow)
    pressure[9:] -= 0.4
    assert last_day_scores(flow[:10], pressure[:10])[30] < -LARGE_SCORE
    assert np.abs(last_day_scores(flow, pressure)).max() < 2 * LARGE_SCORE


def test_gap_does_not_change_residual() -> None:
    flow = flows(10, seed=5)
    pressure = pressures(flow)
    pressure[-1, 300:500] = np.nan
    pressure[5] = np.nan
    assert np.abs(last_day_scores(flow, pressure)).max() < 2 * LARGE_SCORE


def test_few_days_or_constant_values_fit_nothing() -> None:
    flow = flows(DAYS)
    few = np.arange(DAYS) < 10
    assert fit(training_days(flow), training_days(pressures(flow)), few, WINDOW_MINUTES) is None
    assert (
        fit(training_days(flow), training_days(np.full_like(flow, 4.0)), np.ones(DAYS, dtype=np.bool_), WINDOW_MINUTES)
        is None
    )
