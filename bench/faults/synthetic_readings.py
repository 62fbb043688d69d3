"""The readings that a campaign feeds: two sensors, no minute like another, with bursts and a stuck gauge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

SENSORS = ("001", "002")


def reading_lines(start: datetime, first: int, last: int) -> Iterator[str]:
    """Lines of the minutes [first, last) after a start, a line a sensor."""
    for minute in range(first, last):
        at = start + timedelta(minutes=minute)
        for place, sensor in enumerate(SENSORS):
            yield f"{at:%Y-%m-%d %H:%M},{sensor},{_flow(minute, place):.2f},{_pressure(minute, place)}\n"


def _flow(minute: int, place: int) -> float:
    hour = minute % 1440 / 60
    burst = 40 if minute % 9001 > 8800 else 0
    return 60 + 20 * (1 - abs(hour - 12) / 12) + minute * (7919 + place) % 101 / 50 + burst


def _pressure(minute: int, place: int) -> str:
    """The second sensor has no pressure gauge, that of the first stands still for some hours each nine days."""
    if place:
        return ""
    return "3.500" if minute % 13_001 > 12_500 else f"{4 - minute * 104_729 % 53 / 200:.3f}"
