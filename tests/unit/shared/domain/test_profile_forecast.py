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
    """Return a flow rate in m³/h: a daily wave, halved on Sundays."""
    weekday = (local - EPOCH_MONDAY_HOUR) // 24 % 7
    return np.asarray(SHAPE[local % 24] * np.where(weekday == 6, 0.5, 1.0), dtype=np.float64)


def week_after(values: Floats, local: Ints) -> profile_forecast.QuantileForecast:
    profile = profile_forecast.fit(values, local)
    assert profile is not None
    return profile_forecast.forecast(profile, local[-1] + 1 + np.arange(FORECAST_HOURS))


def test_repeating_week_is_forecast_exactly() -> None:
    local = hours(6 * 168)
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=0.01)


def test_one_bad_week_of_six_has_little_effect() -> None:
    local = hours(6 * 168)
    values = demand(local)
    values[2 * 168 : 3 * 168] *= 3
    assert week_after(values, local).p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=0.01)


def test_gaps_are_forecast_from_known_hours() -> None:
    local = hours(6 * 168)
    values = demand(local)
    values[np.random.default_rng(1).random(len(values)) < 0.3] = np.nan
    week = week_after(values, local)
    assert np.isfinite(week.p50).all()
    assert week.p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=1.0)


def test_two_days_are_enough_for_the_daily_profile() -> None:
    local = hours(48)
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(SHAPE[hours(FORECAST_HOURS, local[-1] + 1) % 24])


def test_five_hours_give_their_mean() -> None:
    local = hours(5)
    week = week_after(np.full(5, 7.0), local)
    assert week.p50 == pytest.approx(np.full(FORECAST_HOURS, 7.0))


def test_fewer_than_three_known_hours_give_no_profile() -> None:
    values = np.full(500, np.nan)
    values[-2:] = 5.0
    assert profile_forecast.fit(values, hours(500)) is None


def test_higher_level_of_the_last_hours_fades_with_the_horizon() -> None:
    local = hours(6 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 2, len(local))
    reference = week_after(values, local).p50
    values[-6:] += 10
    raised = week_after(values, local).p50 - reference
    assert raised[0] > 5
    assert raised[0] > raised[5] > raised[12] > raised[160] >= 0


def test_permanent_level_change_is_followed_within_two_days() -> None:
    local = hours(9 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 1, len(local))
    values[-48:] += 10
    assert week_after(values, local).p50[:24].mean() == pytest.approx(SHAPE.mean() + 10, abs=2.5)


def test_implausible_value_has_no_effect_even_in_the_first_week() -> None:
    local = hours(96)
    values = demand(local) + np.random.default_rng(4).normal(0, 1, len(local))
    reference = week_after(values, local)
    values[40:43] = 65_535.0
    assert week_after(values, local).p50 == pytest.approx(reference.p50, abs=1.5)


def holiday_in(local: Ints) -> HolidayCalendar:
    """Return as holidays the Wednesday of the next week, and the one five weeks before."""
    monday = date(1970, 1, 1) + timedelta(days=int(local[-1] + 1) // 24)
    return HolidayCalendar(lambda _: [monday + timedelta(days=2), monday - timedelta(days=33)])


def test_holiday_is_forecast_like_a_sunday_and_does_not_change_its_weekday() -> None:
    local = hours(9 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 0.5, len(local))
    calendar = holiday_in(local)
    values[calendar.holiday_mask(local)] *= 0.5
    profile = profile_forecast.fit(values, local, calendar)
    assert profile is not None
    assert profile.holiday_share > 0.85
    week = (
        profile_forecast.forecast(profile, local[-1] + 1 + np.arange(FORECAST_HOURS))
        .p50.reshape(-1)[:168]
        .reshape(7, 24)
    )
    assert week[2] == pytest.approx(0.55 * SHAPE, abs=4)
    assert week[1] == pytest.approx(SHAPE, abs=2)


def test_holidays_of_another_country_lose_their_weight() -> None:
    local = hours(9 * 168)
    values = demand(local) + np.random.default_rng(4).normal(0, 0.5, len(local))
    profile = profile_forecast.fit(values, local, holiday_in(local))
    assert profile is not None
    assert profile.holiday_share < 0.4


def test_quantiles_cover_about_eight_of_ten_hours_of_a_noisy_site() -> None:
    noise = np.random.default_rng(2)
    local = hours(30 * 168)
    values = demand(local) + noise.normal(0, 4, len(local))
    inside = []
    for issued in range(8 * 168, 29 * 168 - 1, 37):
        week = week_after(values[issued - 1008 : issued], local[issued - 1008 : issued])
        actuals = values[issued : issued + FORECAST_HOURS]
        inside.append((week.p10 <= actuals) & (actuals <= week.p90))
    assert 0.74 < np.mean(inside) < 0.86


def test_quantiles_never_cross() -> None:
    local = hours(300)
    week = week_after(demand(local) + np.random.default_rng(3).normal(0, 9, 300), local)
    assert (week.p10 <= week.p50).all()
    assert (week.p50 <= week.p90).all()


def test_daylight_saving_keeps_the_hours_of_the_week_in_place() -> None:
    local = hours(6 * 168)
    local[3 * 168 :] -= 1
    week = week_after(demand(local), local)
    assert week.p50 == pytest.approx(demand(hours(FORECAST_HOURS, local[-1] + 1)), abs=0.01)
