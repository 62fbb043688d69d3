"""Expected values of a day from the days before it."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest

from services.detector.day_history import Day, DayHistory, Float32s, average_to_ten_minutes
from services.detector.expected_day import expected_day
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, make_site

DAYS = 44
WEDNESDAY = MONDAY.toordinal() + DAYS
"""The day after the known ones."""


def industrial_history(calendar: HolidayCalendar) -> DayHistory:
    """Return the history of an industrial site that is closed on weekends."""
    value, history = make_site(SHAPES["works"], DAYS, seed=3), DayHistory(calendar)
    expected, forecasts = np.zeros((2, DAY), dtype=np.float32), np.full((2, 24, 3), np.nan, dtype=np.float32)
    for number in range(DAYS):
        span = slice(number * DAY, (number + 1) * DAY)
        values = np.array([value.flow[span], value.pressure[span]], dtype=np.float32)
        history.add(Day(MONDAY.toordinal() + number, values, expected, forecasts, average_to_ten_minutes(values)))
    return history


def noon(day: Float32s) -> float:
    return float(day[0, 10 * 60 : 14 * 60].mean())


def holidays_on(*days: int) -> HolidayCalendar:
    return HolidayCalendar(lambda year: [date.fromordinal(day) for day in days if date.fromordinal(day).year == year])


def test_public_holiday_is_expected_like_sunday() -> None:
    assert datetime.fromordinal(WEDNESDAY).weekday() == 2
    history = industrial_history(NO_HOLIDAYS)
    working, sunday = noon(expected_day(history, WEDNESDAY)), noon(expected_day(history, WEDNESDAY + 4))
    assert sunday < 0.9 * working
    assert noon(expected_day(industrial_history(holidays_on(WEDNESDAY)), WEDNESDAY)) == pytest.approx(sunday, rel=0.03)


def test_past_holidays_do_not_change_their_weekday() -> None:
    rested = [WEDNESDAY - 7 * weeks for weeks in range(1, 5)]
    history, aware = industrial_history(NO_HOLIDAYS), industrial_history(holidays_on(*rested))
    for holiday in (history, aware):
        for day in holiday.days:
            if day.ordinal in rested:
                day.values[:] *= 0.5
                day.ten_minute_means[:] *= 0.5
    assert noon(expected_day(history, WEDNESDAY)) < 0.9 * noon(expected_day(aware, WEDNESDAY))


def test_weekday_effect_is_expected_and_single_event_is_not() -> None:
    """A garden is watered on Tuesdays from 09:00 to 12:00; once, on a Thursday, there was a fair."""
    plain, history = industrial_history(NO_HOLIDAYS), industrial_history(NO_HOLIDAYS)
    for day in history.days:
        if (day.ordinal - 1) % 7 == 1 or day.ordinal == WEDNESDAY - 20:
            day.ten_minute_means[0, 54:72] += 5.0
    tuesday, thursday = WEDNESDAY + 6, WEDNESDAY + 1
    watered, dry = (
        (expected_day(history, day) - expected_day(plain, day))[0, 600:660].mean() for day in (tuesday, thursday)
    )
    assert watered - dry == pytest.approx(5.0, abs=0.3)
    assert dry < 1.0
