"""A pressure's new setting is told from weeks that only vary."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.memory import day_types
from services.detector.regime import first_of_regime
from services.detector.usual import day_ahead
from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.domain.series import Floats
from tests.unit.services.detector.test_detector_usual import WEDNESDAY, memory

DAYS = 42
TYPES = day_types(np.arange(DAYS) % 7)


def days(seed: int, wander: float = 0.05) -> Floats:
    """(42, 144) bar: a valve that lowers the night, and days that wander."""
    rng = np.random.default_rng(seed)
    one = np.where((np.arange(144) < 36) | (np.arange(144) > 132), 2.4, 3.6)
    return one + wander * rng.standard_normal((DAYS, 1)) + 0.02 * rng.standard_normal((DAYS, 144))


@pytest.mark.parametrize("seed", range(8))
def test_days_that_only_vary_are_one_regime(seed: int) -> None:
    assert first_of_regime(days(seed), TYPES) == 0


@pytest.mark.parametrize("last", range(7))
def test_a_works_weekend_is_no_regime_on_any_day_of_the_week(last: int) -> None:
    types = day_types((np.arange(DAYS) + last) % 7)
    pressure = days(3)
    pressure[types > 0, 40:120] += 1.3
    assert first_of_regime(pressure, types) == 0


@pytest.mark.parametrize("since", [3, 5, 12, 25])
def test_a_setting_of_another_pressure_begins_anew(since: int) -> None:
    pressure = days(1)
    pressure[-since:, 40:130] -= 0.7
    assert first_of_regime(pressure, TYPES) == DAYS - since


def test_two_days_are_not_yet_a_regime_and_gaps_are_none() -> None:
    pressure = days(2)
    pressure[-2:] -= 0.7
    assert first_of_regime(pressure, TYPES) == 0
    pressure[-10:, ::3] = np.nan
    assert first_of_regime(pressure, TYPES) == 0
    assert first_of_regime(pressure[:5], TYPES[:5]) == 0


def test_the_day_ahead_goes_by_the_new_setting_after_three_days() -> None:
    known = memory(NO_HOLIDAYS)
    before = day_ahead(known, WEDNESDAY)
    for day in list(known.days)[-3:]:
        day.tens[1, :36] -= 0.8
    lowered = day_ahead(known, WEDNESDAY)
    assert (lowered - before)[1, 20:330].mean() == pytest.approx(-0.8, abs=0.1)
    assert np.array_equal(lowered[0], before[0])
