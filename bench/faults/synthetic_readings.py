"""The readings that a campaign feeds: two sensors with bursts and a stuck gauge; neighbouring minutes differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

SENSORS = ("001", "002")


def reading_lines(start: datetime, first: int, last: int, form: str) -> Iterator[str]:
    """Yield a line per sensor for each minute in [first, last) after a start, and the header before minute 0."""
    header, write = FORMS[form]
    if first == 0 and header:
        yield header
    for minute in range(first, last):
        at = start + timedelta(minutes=minute)
        for sensor_index, sensor in enumerate(SENSORS):
            yield write(at, sensor, f"{_flow(minute, sensor_index):.2f}", _pressure(minute, sensor_index))


def _documented(at: datetime, sensor: str, flow_rate: str, pressure: str) -> str:
    return f"{at:%Y-%m-%d %H:%M},{sensor},{flow_rate},{pressure}\n"


def _korean_table(at: datetime, sensor: str, flow_rate: str, pressure: str) -> str:
    """Return a line of a spreadsheet: 2026. 3. 3. 오후 1:05, decimal comma, the sensor as a number."""
    time = f"{at.year}. {at.month}. {at.day}. {'오전' if at.hour < 12 else '오후'} {at.hour % 12 or 12}:{at.minute:02}"
    return f"{pressure.replace('.', ',') or '-'};{time};{flow_rate.replace('.', ',')};{int(sensor)};정상\r\n"


FORMS: dict[str, tuple[str, Callable[[datetime, str, str, str], str]]] = {
    "documented": ("", _documented),
    "table": ("수압(kgf/㎠);일시;유량(㎥/h);지점;상태\r\n", _korean_table),
}
"""Name of a form to its header and its lines. The table is written as cp949."""


def _flow(minute: int, sensor_index: int) -> float:
    hour = minute % 1440 / 60
    burst = 40 if minute % 9001 > 8800 else 0
    return 60 + 20 * (1 - abs(hour - 12) / 12) + minute * (7919 + sensor_index) % 101 / 50 + burst


def _pressure(minute: int, sensor_index: int) -> str:
    """Return the pressure; the second sensor has no gauge, and the first one sticks for some hours every nine days."""
    if sensor_index:
        return ""
    return "3.500" if minute % 13_001 > 12_500 else f"{4 - minute * 104_729 % 53 / 200:.3f}"
