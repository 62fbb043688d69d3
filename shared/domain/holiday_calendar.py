"""Public holidays of a site's country, as local days: demand on them is more like that of a Sunday."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

import numpy as np
from numpy.typing import NDArray

from shared.domain.series import Ints

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class HolidayCalendar:
    """Asks for a year's holidays once."""

    def __init__(self, holidays: Callable[[int], Iterable[date]] = lambda _: ()) -> None:
        """`holidays`: those of a year."""
        self._holidays = holidays
        self._years: dict[int, frozenset[date]] = {}
        self._days: dict[int, bool] = {}

    def holiday_mask(self, local_hours: Ints) -> NDArray[np.bool_]:
        """Whether local hours, in order of time, belong to public holidays."""
        days = local_hours // 24
        first, last = int(days[0]), int(days[-1])
        return np.array([self.is_holiday(EPOCH_ORDINAL + day) for day in range(first, last + 1)])[days - first]

    def is_holiday(self, ordinal: int) -> bool:
        """Whether a day, by its proleptic ordinal, is a public holiday."""
        if ordinal not in self._days:
            meant = date.fromordinal(ordinal)
            if meant.year not in self._years:
                self._years[meant.year] = frozenset(self._holidays(meant.year))
            self._days[ordinal] = meant in self._years[meant.year]
        return self._days[ordinal]


NO_HOLIDAYS = HolidayCalendar()
