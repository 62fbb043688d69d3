"""A source that says the same minutes over and over: some tell of a meter's clock, a flood of them of nothing."""

from __future__ import annotations

from datetime import datetime

MAX_DUPLICATES_PER_TICK = 1000
"""Repeated minutes of one sensor that are taken between two ticks."""
MAX_DAYS_REMEMBERED = 1000
"""Days of one sensor whose minutes are remembered, those met last."""


class DuplicateLimiter:
    """Remembers, since the start, which minutes of which sensor were there."""

    def __init__(self) -> None:
        self._minutes: dict[str, dict[int, int]] = {}
        """sensor to day to its minutes, bit by bit."""
        self._duplicates: dict[str, int] = {}

    def rejection_reason(self, sensor: str, at: datetime) -> str:
        """Why a reading is not taken; empty when it is. The number of sensors is limited before."""
        day, minute = divmod(int(at.timestamp()) // 60, 1440)
        days = self._minutes.setdefault(sensor, {})
        seen = days.get(day, 0)
        if not seen >> minute & 1:
            days[day] = seen | 1 << minute
            if len(days) > MAX_DAYS_REMEMBERED:
                del days[next(iter(days))]
            return ""
        self._duplicates[sensor] = self._duplicates.get(sensor, 0) + 1
        if self._duplicates[sensor] <= MAX_DUPLICATES_PER_TICK:
            return ""
        return f"sensor {sensor}: more than {MAX_DUPLICATES_PER_TICK} readings within a minute, of minutes that were there before"

    def reset(self) -> None:
        """Counts anew."""
        self._duplicates.clear()
