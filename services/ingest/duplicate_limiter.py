"""Rate limit for duplicates: a few of them reveal a wrong meter clock, a flood of them is useless."""

from __future__ import annotations

from datetime import datetime

from shared.contract.messages import LocalizedText
from shared.contract.texts import localized

MAX_DUPLICATES_PER_TICK = 1000
"""Duplicate minutes of one sensor that are accepted between two ticks."""
MAX_DAYS_REMEMBERED = 1000
"""Days per sensor whose minutes are remembered; the oldest entry is dropped first."""


class DuplicateLimiter:
    """Remembers which minutes of each sensor were seen since the start."""

    def __init__(self) -> None:
        self._minutes: dict[str, dict[int, int]] = {}
        """Sensor to day since the epoch to a bit mask of its minutes."""
        self._duplicates: dict[str, int] = {}

    def is_repeated(self, sensor: str, at: datetime) -> bool:
        """Record a minute; return whether it was seen before.

        The sensor registry bounds the number of sensors before this check.
        """
        day, minute = divmod(int(at.timestamp()) // 60, 1440)
        days = self._minutes.setdefault(sensor, {})
        seen = days.get(day, 0)
        if not seen >> minute & 1:
            days[day] = seen | 1 << minute
            if len(days) > MAX_DAYS_REMEMBERED:
                del days[next(iter(days))]
            return False
        return True

    def rejection_reason(self, sensor: str) -> LocalizedText | None:
        """Count a repeated minute; return why it is rejected, None if it is accepted."""
        self._duplicates[sensor] = self._duplicates.get(sensor, 0) + 1
        if self._duplicates[sensor] <= MAX_DUPLICATES_PER_TICK:
            return None
        return localized(
            "센서 {sensor}: 1분 사이에 중복 계측값이 {limit}개를 넘었습니다",
            "sensor {sensor}: more than {limit} duplicate readings between two ticks",
            sensor=sensor,
            limit=MAX_DUPLICATES_PER_TICK,
        )

    def reset(self) -> None:
        """Reset the duplicate counters."""
        self._duplicates.clear()
