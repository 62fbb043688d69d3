"""Public holidays of a site's country as local days: demand on them is similar to a Sunday's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

import numpy as np
from numpy.typing import NDArray

from shared.domain.series import Ints

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class HolidayCalendar:
    """Public holidays; the source is asked once for each year."""

    def __init__(self, holidays: Callable[[int], Iterable[date]] = lambda _: ()) -> None:
        """`holidays`: returns the holidays of a year."""
        self._holidays = holidays
        self._years: dict[int, frozenset[date]] = {}
        self._days: dict[int, bool] = {}

    def holiday_mask(self, local_hours: Ints) -> NDArray[np.bool_]:
        """Return for each local hour, in order of time, whether it belongs to a public holiday."""
        days = local_hours // 24
        first, last = int(days[0]), int(days[-1])
        return np.array([self.is_holiday(EPOCH_ORDINAL + day) for day in range(first, last + 1)])[days - first]

    def is_holiday(self, ordinal: int) -> bool:
        """Return whether a day (proleptic ordinal) is a public holiday."""
        if ordinal not in self._days:
            day = date.fromordinal(ordinal)
            if day.year not in self._years:
                self._years[day.year] = frozenset(self._holidays(day.year))
            self._days[ordinal] = day in self._years[day.year]
        return self._days[ordinal]


NO_HOLIDAYS = HolidayCalendar()
