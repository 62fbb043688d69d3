"""Jumps of a meter: unit changes, impossible jumps and real changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.day_history import MINUTES_PER_DAY, TrainingDays
from services.detector.methods.sensor_health import OUTSIDE_MINUTES, UNIT_CHANGE_MINUTES, SensorHealth, fit
from services.detector.methods.standardise import Parameters
from shared.domain.series import Floats
from shared.settings.sections import Range

DAYS = 40
EXPECTED = 10.0
FLOW = (
    EXPECTED
    + 6.0 * np.sin(np.arange(MINUTES_PER_DAY) * 2 * np.pi / MINUTES_PER_DAY)
    + 0.3 * np.random.default_rng(5).standard_normal((DAYS, MINUTES_PER_DAY))
)
ALL_DAYS = np.ones(DAYS, dtype=np.bool_)


def training_days(values: Floats) -> TrainingDays:
    nothing = np.full((len(values), 24, 3), np.nan)
    means = values.reshape(len(values), -1, 10).mean(axis=2)
    numbers = np.arange(len(values))
    return TrainingDays(numbers, numbers % 7 // 5, values, values, nothing, means, ALL_DAYS, ALL_DAYS)


def fitted(values: Floats) -> Parameters:
    parameters = fit(training_days(values), 0.003, 60)
    assert parameters is not None
    return parameters


def running_health(partner: SensorHealth | None = None) -> SensorHealth:
    health = SensorHealth("flow_rate", fitted(FLOW), Range(), partner)
    for value in (10.0, 10.1, 9.9):
        assert health.check(value, EXPECTED).flag == 0
    return health


def flags(health: SensorHealth, values: list[float | None], expected: float = EXPECTED) -> list[int | None]:
    return [health.check(value, expected).flag for value in values]


def test_jump_limit_exceeds_jumps_of_reference_days() -> None:
    largest = float(np.abs(np.diff(FLOW, axis=1)).max())
    assert largest < fitted(FLOW).limits["jump"] < 3 * largest


def test_unit_change_is_flagged_for_its_whole_time() -> None:
    assert flags(running_health(), [9.9 / 3.6, 2.8, 2.6, 10.2, 10.0]) == [1, 1, 1, 0, 0]


def test_drop_without_unit_factor_is_no_fault() -> None:
    assert flags(running_health(), [5.0, 5.1, 10.0]) == [0, 0, 0]


def test_return_to_expected_value_is_no_unit_change() -> None:
    health = running_health()
    health.skip()
    assert flags(health, [10 / 3.6, 2.8, 10.1, 10.0]) == [0, 0, 0, 0]


def test_gap_or_a_day_ends_unit_change() -> None:
    assert flags(running_health(), [2.77, None, 2.8])[::2] == [1, 0]
    lasting = flags(running_health(), [2.77 + 0.01 * (minute % 2) for minute in range(UNIT_CHANGE_MINUTES + 5)])
    assert lasting == [1] * UNIT_CHANGE_MINUTES + [0] * 5


def test_without_expected_value_no_jump_is_flagged() -> None:
    assert flags(running_health(), [2.77, 2.8], math.nan) == [0, 0]


def test_jump_with_pressure_move_is_no_fault() -> None:
    bar = 4.0 + 0.02 * np.random.default_rng(6).standard_normal((DAYS, MINUTES_PER_DAY))
    pressure = SensorHealth("pressure", fitted(bar), Range())
    health = running_health(pressure)
    assert [pressure.check(value, 4.0).flag for value in (4.0, 3.6)] == [0, 0]
    assert flags(health, [37.0, 36.0]) == [0, 0]


def test_impossible_jump_is_flagged_in_its_minute() -> None:
    limits = fitted(FLOW).limits
    value = 10.0 + 1.1 * limits["leap"]
    wide = SensorHealth("flow_rate", Parameters(limits | {"high": 100.0}, {}), Range())
    assert flags(wide, [10.0, value, value + 0.1, 10.0, 10.1]) == [0, 1, 0, 0, 0]


def test_pump_trip_is_no_gauge_fault() -> None:
    limits = fitted(4.0 + 0.02 * np.random.default_rng(6).standard_normal((DAYS, MINUTES_PER_DAY))).limits
    pressure = SensorHealth("pressure", Parameters(limits | {"low": 0.0}, {}), Range())
    assert flags(pressure, [4.0, 0.4, 0.5, 4.0], 4.0) == [0, 0, 0, 0]


def test_noise_around_zero_is_alarmed_only_when_it_lasts() -> None:
    health = SensorHealth("flow_rate", fitted(np.maximum(FLOW - 3.5, 0.0)), Range(min=0.0))
    alarmed = []
    for value in (0.1, -0.2, 0.1, -0.3, -0.1, 0.2, *(-1.0,) * (OUTSIDE_MINUTES - 1)):
        assert health.check(value, EXPECTED).flag == int(value < 0.0)
        alarmed.append(health.should_alarm())
    assert not any(alarmed)
    health.check(-1.0, EXPECTED)
    assert health.should_alarm()


@pytest.mark.parametrize(("flow", "value"), [(FLOW, -1.0), (np.maximum(FLOW - 3.5, 0.0), -20.0)])
def test_value_beyond_noise_is_alarmed_at_once(flow: Floats, value: float) -> None:
    health = SensorHealth("flow_rate", fitted(flow), Range(min=0.0))
    health.check(0.1, EXPECTED)
    health.check(value, EXPECTED)
    assert health.should_alarm()
