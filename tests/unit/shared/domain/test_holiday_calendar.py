from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.runtime.public_holidays import is_supported, make_calendar


def hour(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days * 24


@pytest.mark.parametrize(
    ("code", "day"), [("KR", (2026, 9, 25)), ("KR", (2027, 2, 7)), ("IT", (2022, 8, 15)), ("IT-TS", (2022, 11, 3))]
)
def test_exactly_the_hours_of_a_holiday_are_masked(code: str, day: tuple[int, int, int]) -> None:
    hours = hour(*day) + np.arange(24)
    assert make_calendar(code).holiday_mask(hours).all()
    assert not NO_HOLIDAYS.holiday_mask(hours).any()
    assert not make_calendar(code).holiday_mask(hour(2026, 6, 9) + np.arange(48)).any()


def test_hours_on_both_sides_of_the_new_year_are_masked_correctly() -> None:
    hours = hour(2025, 12, 31) + np.arange(72)
    assert np.array_equal(make_calendar("KR").holiday_mask(hours), (hours // 24) == hour(2026, 1, 1) // 24)


@pytest.mark.parametrize(("code", "is_known"), [("KR", True), ("IT-TS", True), ("XX", False), ("KR-TS", False)])
def test_country_or_region_is_known_or_not(code: str, is_known: bool) -> None:
    assert is_supported(code) is is_known
