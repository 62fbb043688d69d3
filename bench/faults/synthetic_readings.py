"""The readings that a campaign feeds: two sensors with bursts and a stuck gauge; neighbouring minutes differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

SENSORS = ("001", "002")


def reading_lines(start: datetime, first: int, last: int) -> Iterator[str]:
    """Yield a line per sensor for each minute in [first, last) after a start."""
    for minute in range(first, last):
        at = start + timedelta(minutes=minute)
        for sensor_index, sensor in enumerate(SENSORS):
            yield f"{at:%Y-%m-%d %H:%M},{sensor},{_flow(minute, sensor_index):.2f},{_pressure(minute, sensor_index)}\n"


def _flow(minute: int, sensor_index: int) -> float:
    hour = minute % 1440 / 60
    burst = 40 if minute % 9001 > 8800 else 0
    return 60 + 20 * (1 - abs(hour - 12) / 12) + minute * (7919 + sensor_index) % 101 / 50 + burst


def _pressure(minute: int, sensor_index: int) -> str:
    """Return the pressure; the second sensor has no gauge, and the first one sticks for some hours every nine days."""
    if sensor_index:
        return ""
    return "3.500" if minute % 13_001 > 12_500 else f"{4 - minute * 104_729 % 53 / 200:.3f}"
