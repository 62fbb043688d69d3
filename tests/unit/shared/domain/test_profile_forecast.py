from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from shared.domain import profile_forecast
from shared.domain.holiday_calendar import HolidayCalendar
from shared.domain.hour_of_week import EPOCH_MONDAY_HOUR
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats, Ints

SHAPE = 50 + 20 * np.sin(np.arange(24) * np.pi / 12)
MONDAY = EPOCH_MONDAY_HOUR + 2900 * 168


def hours(count: int, first: int = MONDAY) -> Ints:
    return first + np.arange(count)


def demand(local: Ints) -> Floats:
    """m³/h: a daily wave, half of it on Sundays."""
    weekday = (local - EPOCH_MONDAY_HOUR) // 24 % 7
    return np.asarray(SHAPE[local % 24] * np.where(weekday == 6, 0.5, 1.0), dtype=np.float64)


def week_after(values: Floats, local: Ints) -> profile_forecast.QuantileForecast:
    usual = profile_forecast.fit(values, local)
    assert usual is not None
    return profile_forecast.forecast(usual, local[-1] + 1 + np.arange(FORECAST_HOURS))


def test_a_week_that_repeats_is_forecast_exactly() -> None:
    local = hours(6 * 168)
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=0.01)


def test_one_bad_week_of_six_does_not_bend_the_profile() -> None:
    local = hours(6 * 168)
    values = demand(local)
    values[2 * 168 : 3 * 168] *= 3
    assert week_after(values, local).p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=0.01)


def test_gaps_are_forecast_from_what_is_known() -> None:
    local = hours(6 * 168)
    values = demand(local)
    values[np.random.default_rng(1).random(len(values)) < 0.3] = np.nan
    week = week_after(values, local)
    assert np.isfinite(week.p50).all()
    assert week.p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=1.0)


def test_two_days_are_enough_for_the_shape_of_the_day() -> None:
    local = hours(48)
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(SHAPE[hours(FORECAST_HOURS, local[-1] + 1) % 24])


def test_five_hours_give_their_mean_where_nothing_better_is_known() -> None:
    local = hours(5)
    week = week_after(np.full(5, 7.0), local)
    assert week.p50 == pytest.approx(np.full(FORECAST_HOURS, 7.0))


def test_less_than_three_known_hours_give_no_profile() -> None:
    values = np.full(500, np.nan)
    values[-2:] = 5.0
    assert profile_forecast.fit(values, hours(500)) is None


def test_a_higher_level_of_the_last_hours_fades_with_the_horizon() -> None:
    local = hours(6 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 2, len(local))
    usual = week_after(values, local).p50
    values[-6:] += 10
    lifted = week_after(values, local).p50 - usual
    assert lifted[0] > 5
    assert lifted[0] > lifted[5] > lifted[12] > lifted[160] >= 0


def test_a_level_that_has_changed_for_good_is_followed_within_two_days() -> None:
    local = hours(9 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 1, len(local))
    values[-48:] += 10
    assert week_after(values, local).p50[:24].mean() == pytest.approx(SHAPE.mean() + 10, abs=2.5)


def test_a_number_that_is_no_flow_moves_nothing_even_in_the_first_week() -> None:
    local = hours(96)
    values = demand(local) + np.random.default_rng(4).normal(0, 1, len(local))
    usual = week_after(values, local)
    values[40:43] = 65_535.0
    assert week_after(values, local).p50 == pytest.approx(usual.p50, abs=1.5)


def holiday_in(local: Ints) -> HolidayCalendar:
    """The Wednesday of the week that begins with the last of these hours, and that of five weeks before."""
    monday = date(1970, 1, 1) + timedelta(days=int(local[-1] + 1) // 24)
    return HolidayCalendar(lambda _: [monday + timedelta(days=2), monday - timedelta(days=33)])


def test_a_holiday_is_forecast_like_a_sunday_and_does_not_bend_its_weekday() -> None:
    local = hours(9 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 0.5, len(local))
    calendar = holiday_in(local)
    values[calendar.holiday_mask(local)] *= 0.5
    usual = profile_forecast.fit(values, local, calendar)
    assert usual is not None
    assert usual.holiday_share > 0.85
    week = (
        profile_forecast.forecast(usual, local[-1] + 1 + np.arange(FORECAST_HOURS)).p50.reshape(-1)[:168].reshape(7, 24)
    )
    assert week[2] == pytest.approx(0.55 * SHAPE, abs=4)
    assert week[1] == pytest.approx(SHAPE, abs=2)


def test_holidays_of_another_country_are_soon_not_believed() -> None:
    local = hours(9 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 0.5, len(local))
    usual = profile_forecast.fit(values, local, holiday_in(local))
    assert usual is not None
    assert usual.holiday_share < 0.4


def test_the_quantiles_hold_about_eight_of_ten_hours_of_a_noisy_site() -> None:
    noise = np.random.default_rng(2)
    local = hours(30 * 168)
    values = demand(local) + noise.normal(0, 4, len(local))
    inside = []
    for issued in range(8 * 168, 29 * 168 - 1, 37):
        week = week_after(values[issued - 1008 : issued], local[issued - 1008 : issued])
        came = values[issued : issued + FORECAST_HOURS]
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
    assert week.p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=0.01)
