"""Rate limit for second values of a minute: a few of them reveal a wrong meter clock, a flood of them is useless."""

from __future__ import annotations

from collections import Counter

from shared.contract.messages import LocalizedText
from shared.contract.texts import localized

MAX_DUPLICATES_PER_TICK = 1000
"""Second values of one sensor that are accepted between two ticks."""


class DuplicateLimiter:
    """Counts the second values of each sensor. The sensor registry bounds the number of sensors before this check."""

    def __init__(self) -> None:
        self._duplicates: Counter[str] = Counter()

    def rejection_reason(self, sensor: str) -> LocalizedText | None:
        """Count a second value; return why it is rejected, None if it is accepted."""
        self._duplicates[sensor] += 1
        if self._duplicates[sensor] <= MAX_DUPLICATES_PER_TICK:
            return None
        return localized(
            "센서 {sensor}: 1분 사이에 중복 계측값이 {limit}개를 넘었습니다",
            "sensor {sensor}: more than {limit} duplicate readings between two ticks",
            sensor=sensor,
            limit=MAX_DUPLICATES_PER_TICK,
        )

    def reset(self) -> None:
        """Reset the counters."""
        self._duplicates.clear()
