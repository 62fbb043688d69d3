"""Jumps of a meter: what another unit is, and what the water's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.memory import MINUTES, Past
from services.detector.methods.spreads import Learned
from services.detector.methods.system import CONVERTED, OUTSIDE, System, learn
from shared.domain.series import Floats
from shared.settings import Range

DAYS = 40
USUAL = 10.0
FLOW = (
    USUAL
    + 6.0 * np.sin(np.arange(MINUTES) * 2 * np.pi / MINUTES)
    + 0.3 * np.random.default_rng(5).standard_normal((DAYS, MINUTES))
)
EVERY = np.ones(DAYS, dtype=np.bool_)


def past(values: Floats) -> Past:
    nothing = np.full((len(values), 24, 3), np.nan)
    tens = values.reshape(len(values), -1, 10).mean(axis=2)
    numbers = np.arange(len(values))
    return Past(numbers, numbers % 7 // 5, values, values, nothing, tens, EVERY, EVERY)


def learned(values: Floats) -> Learned:
    found = learn(past(values), 0.003, 60)
    assert found is not None
    return found


def system(partner: System | None = None) -> System:
    one = System("flow_rate", learned(FLOW), Range(), partner)
    for value in (10.0, 10.1, 9.9):
        assert one.check(value, USUAL).flag == 0
    return one


def flags(one: System, values: list[float | None], usual: float = USUAL) -> list[int | None]:
    return [one.check(value, usual).flag for value in values]


def test_the_jump_that_is_looked_at_is_one_that_no_clean_day_has() -> None:
    most = float(np.abs(np.diff(FLOW, axis=1)).max())
    assert most < learned(FLOW).limits["jump"] < 3 * most


def test_another_unit_is_told_from_its_first_minute_to_its_last() -> None:
    assert flags(system(), [9.9 / 3.6, 2.8, 2.6, 10.2, 10.0]) == [1, 1, 1, 0, 0]


def test_a_fall_that_is_no_factor_between_units_is_left_to_others() -> None:
    assert flags(system(), [5.0, 5.1, 10.0]) == [0, 0, 0]


def test_what_comes_back_to_the_usual_is_no_other_unit() -> None:
    one = system()
    one.skip()
    assert flags(one, [10 / 3.6, 2.8, 10.1, 10.0]) == [0, 0, 0, 0]


def test_a_gap_ends_it_and_so_does_a_day() -> None:
    assert flags(system(), [2.77, None, 2.8])[::2] == [1, 0]
    lasting = flags(system(), [2.77 + 0.01 * (minute % 2) for minute in range(CONVERTED + 5)])
    assert lasting == [1] * CONVERTED + [0] * 5


def test_without_an_expectation_nothing_is_said() -> None:
    assert flags(system(), [2.77, 2.8], math.nan) == [0, 0]


def test_what_pressure_moves_with_is_the_water() -> None:
    bar = 4.0 + 0.02 * np.random.default_rng(6).standard_normal((DAYS, MINUTES))
    pressure = System("pressure", learned(bar), Range())
    one = system(pressure)
    assert [pressure.check(value, 4.0).flag for value in (4.0, 3.6)] == [0, 0]
    assert flags(one, [37.0, 36.0]) == [0, 0]


def test_a_jump_that_no_water_makes_is_told_for_its_minute() -> None:
    limits = learned(FLOW).limits
    high = 10.0 + 1.1 * limits["leap"]
    wide = System("flow_rate", Learned(limits | {"high": 100.0}, {}), Range())
    assert flags(wide, [10.0, high, high + 0.1, 10.0, 10.1]) == [0, 1, 0, 0, 0]


def test_a_pump_that_trips_is_no_fault_of_the_gauge() -> None:
    limits = learned(4.0 + 0.02 * np.random.default_rng(6).standard_normal((DAYS, MINUTES))).limits
    pressure = System("pressure", Learned(limits | {"low": 0.0}, {}), Range())
    assert flags(pressure, [4.0, 0.4, 0.5, 4.0], 4.0) == [0, 0, 0, 0]


def test_noise_around_zero_is_no_alarm_and_what_stays_outside_is() -> None:
    one = System("flow_rate", learned(np.maximum(FLOW - 3.5, 0.0)), Range(min=0.0))
    told = []
    for value in (0.1, -0.2, 0.1, -0.3, -0.1, 0.2, *(-1.0,) * (OUTSIDE - 1)):
        assert one.check(value, USUAL).flag == int(value < 0.0)
        told.append(one.tells(silence=10))
    assert not any(told)
    one.check(-1.0, USUAL)
    assert one.tells(silence=10)


@pytest.mark.parametrize(("flow", "value"), [(FLOW, -1.0), (np.maximum(FLOW - 3.5, 0.0), -20.0)])
def test_what_no_noise_reaches_is_alarmed_in_its_minute(flow: Floats, value: float) -> None:
    one = System("flow_rate", learned(flow), Range(min=0.0))
    one.check(0.1, USUAL)
    one.check(value, USUAL)
    assert one.tells(silence=10)
