from __future__ import annotations

import numpy as np
import pytest

from shared.domain import profile
from shared.domain.profile import AHEAD, MONDAY_HOUR
from shared.domain.series import Floats, Ints

SHAPE = 50 + 20 * np.sin(np.arange(24) * np.pi / 12)
MONDAY = MONDAY_HOUR + 2900 * 168


def hours(count: int, first: int = MONDAY) -> Ints:
    return first + np.arange(count)


def demand(local: Ints) -> Floats:
    """m³/h: a daily wave, half of it on Sundays."""
    weekday = (local - MONDAY_HOUR) // 24 % 7
    return np.asarray(SHAPE[local % 24] * np.where(weekday == 6, 0.5, 1.0), dtype=np.float64)


def week_after(values: Floats, local: Ints) -> profile.Outlook:
    usual = profile.learn(values, local)
    assert usual is not None
    return profile.forecast(usual, local[-1] + 1 + np.arange(AHEAD))


def test_a_week_that_repeats_is_forecast_exactly() -> None:
    local = hours(6 * 168)
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(demand(hours(AHEAD, local[-1] + 1)))


def test_one_bad_week_of_six_does_not_bend_the_profile() -> None:
    local = hours(6 * 168)
    values = demand(local)
    values[2 * 168 : 3 * 168] *= 3
    assert week_after(values, local).p50 == pytest.approx(demand(hours(AHEAD, local[-1] + 1)))


def test_gaps_are_forecast_from_what_is_known() -> None:
    local = hours(6 * 168)
    values = demand(local)
    values[np.random.default_rng(1).random(len(values)) < 0.3] = np.nan
    week = week_after(values, local)
    assert np.isfinite(week.p50).all()
    assert week.p50 == pytest.approx(demand(hours(AHEAD, local[-1] + 1)), abs=1.0)


def test_two_days_are_enough_for_the_shape_of_the_day() -> None:
    local = hours(48)
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(SHAPE[hours(AHEAD, local[-1] + 1) % 24])


def test_five_hours_give_their_mean_where_nothing_better_is_known() -> None:
    local = hours(5)
    week = week_after(np.full(5, 7.0), local)
    assert week.p50 == pytest.approx(np.full(AHEAD, 7.0))


def test_less_than_three_known_hours_give_no_profile() -> None:
    values = np.full(500, np.nan)
    values[-2:] = 5.0
    assert profile.learn(values, hours(500)) is None


def test_a_higher_level_of_the_last_hours_fades_with_the_horizon() -> None:
    local = hours(6 * 168)
    values = demand(local)
    values[-6:] += 10
    lifted = week_after(values, local).p50 - demand(hours(AHEAD, local[-1] + 1))
    assert lifted[0] > 6
    assert lifted[0] > lifted[6] > lifted[24] > lifted[168] >= 0


def test_the_quantiles_hold_about_eight_of_ten_hours_of_a_noisy_site() -> None:
    noise = np.random.default_rng(2)
    local = hours(30 * 168)
    values = demand(local) + noise.normal(0, 4, len(local))
    inside = []
    for issued in range(8 * 168, 29 * 168 - 1, 37):
        week = week_after(values[issued - 1008 : issued], local[issued - 1008 : issued])
        came = values[issued : issued + AHEAD]
        inside.append((week.p10 <= came) & (came <= week.p90))
    assert 0.74 < np.mean(inside) < 0.86


def test_quantiles_never_cross() -> None:
    local = hours(300)
    week = week_after(demand(local) + np.random.default_rng(3).normal(0, 9, 300), local)
    assert (week.p10 <= week.p50).all()
    assert (week.p50 <= week.p90).all()


def test_a_clock_set_back_in_autumn_leaves_the_hours_of_the_week_in_place() -> None:
    local = hours(6 * 168)
    local[3 * 168 :] -= 1
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(demand(hours(AHEAD, local[-1] + 1)))
