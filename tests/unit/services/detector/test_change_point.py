"""Change points of the pressure: new settings are found, random variation is not."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.change_point import last_change_point
from services.detector.day_history import types_of_weekdays
from services.detector.expected_day import expected_day
from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.domain.series import Floats
from tests.unit.services.detector.test_expected_day import WEDNESDAY, industrial_history

DAYS = 42
TYPES = types_of_weekdays(np.arange(DAYS) % 7)


def days(seed: int, slow_std: float = 0.05) -> Floats:
    """Return (42, 144) bar: a valve with a lower setting at night, and days with slow variation."""
    rng = np.random.default_rng(seed)
    day = np.where((np.arange(144) < 36) | (np.arange(144) > 132), 2.4, 3.6)
    return day + slow_std * rng.standard_normal((DAYS, 1)) + 0.02 * rng.standard_normal((DAYS, 144))


@pytest.mark.parametrize("seed", range(8))
def test_random_variation_is_no_change_point(seed: int) -> None:
    assert last_change_point(days(seed), TYPES) == 0


@pytest.mark.parametrize("last", range(7))
def test_weekend_of_industry_is_no_change_point(last: int) -> None:
    types = types_of_weekdays((np.arange(DAYS) + last) % 7)
    pressure = days(3)
    pressure[types > 0, 40:120] += 1.3
    assert last_change_point(pressure, types) == 0


@pytest.mark.parametrize("days_since", [3, 5, 12, 25])
def test_new_pressure_setting_is_a_change_point(days_since: int) -> None:
    pressure = days(1)
    pressure[-days_since:, 40:130] -= 0.7
    assert last_change_point(pressure, TYPES) == DAYS - days_since


def test_two_days_or_gaps_are_no_change_point() -> None:
    pressure = days(2)
    pressure[-2:] -= 0.7
    assert last_change_point(pressure, TYPES) == 0
    pressure[-10:, ::3] = np.nan
    assert last_change_point(pressure, TYPES) == 0
    assert last_change_point(pressure[:5], TYPES[:5]) == 0


def test_expected_day_follows_new_setting_after_three_days() -> None:
    history = industrial_history(NO_HOLIDAYS)
    before = expected_day(history, WEDNESDAY)
    for day in list(history.days)[-3:]:
        day.ten_minute_means[1, :36] -= 0.8
    lowered = expected_day(history, WEDNESDAY)
    assert (lowered - before)[1, 20:330].mean() == pytest.approx(-0.8, abs=0.1)
    assert np.array_equal(lowered[0], before[0])
