"""What is expected of a day, from the days before it."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest

from services.detector.memory import Day, Memory, Singles, ten_minute_means
from services.detector.usual import day_ahead
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from tests.unit.services.detector.site import DAY, MONDAY, SHAPES, make_site

DAYS = 44
WEDNESDAY = MONDAY.toordinal() + DAYS
"""The day after all that are known."""


def memory(calendar: HolidayCalendar) -> Memory:
    """Of works that rest on weekends."""
    one, found = make_site(SHAPES["works"], DAYS, seed=3), Memory(calendar)
    usual, forecasts = np.zeros((2, DAY), dtype=np.float32), np.full((2, 24, 3), np.nan, dtype=np.float32)
    for number in range(DAYS):
        span = slice(number * DAY, (number + 1) * DAY)
        values = np.array([one.flow[span], one.pressure[span]], dtype=np.float32)
        found.add(Day(MONDAY.toordinal() + number, values, usual, forecasts, ten_minute_means(values)))
    return found


def noon(day: Singles) -> float:
    return float(day[0, 10 * 60 : 14 * 60].mean())


def off(*days: int) -> HolidayCalendar:
    return HolidayCalendar(lambda year: [date.fromordinal(day) for day in days if date.fromordinal(day).year == year])


def test_a_public_holiday_is_expected_to_be_like_a_sunday() -> None:
    assert datetime.fromordinal(WEDNESDAY).weekday() == 2
    known = memory(NO_HOLIDAYS)
    working, sunday = noon(day_ahead(known, WEDNESDAY)), noon(day_ahead(known, WEDNESDAY + 4))
    assert sunday < 0.9 * working
    assert noon(day_ahead(memory(off(WEDNESDAY)), WEDNESDAY)) == pytest.approx(sunday, rel=0.03)


def test_holidays_that_are_past_tell_nothing_of_their_weekday() -> None:
    rested = [WEDNESDAY - 7 * weeks for weeks in range(1, 5)]
    known, aware = memory(NO_HOLIDAYS), memory(off(*rested))
    for one in (known, aware):
        for day in one.days:
            if day.number in rested:
                day.values[:] *= 0.5
                day.tens[:] *= 0.5
    assert noon(day_ahead(known, WEDNESDAY)) < 0.9 * noon(day_ahead(aware, WEDNESDAY))


def test_a_weekdays_own_habit_is_expected_in_full_and_chance_is_not() -> None:
    """Tuesdays a garden is watered from 09:00 to 12:00; once, on a Thursday, there was a fair."""
    plain, known = memory(NO_HOLIDAYS), memory(NO_HOLIDAYS)
    for day in known.days:
        if (day.number - 1) % 7 == 1 or day.number == WEDNESDAY - 20:
            day.tens[0, 54:72] += 5.0
    tuesday, thursday = WEDNESDAY + 6, WEDNESDAY + 1
    watered, dry = ((day_ahead(known, day) - day_ahead(plain, day))[0, 600:660].mean() for day in (tuesday, thursday))
    assert watered - dry == pytest.approx(5.0, abs=0.3)
    assert dry < 1.0
