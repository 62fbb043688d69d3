"""Numbers, units and times as pages show them. Times are the site's."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.contract.messages import Channel

NO_VALUE = "–"
UNITS: dict[Channel, str] = {"flow_rate": "m³/h", "pressure": "bar"}
DIGITS: dict[Channel, int] = {"flow_rate": 1, "pressure": 2}
"""Decimal places of a value by channel."""


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with thousands separators.

    >>> number(1234.56), number(None)
    ('1,234.6', '–')
    """
    return NO_VALUE if value is None else f"{value:,.{digits}f}"


def reading(value: float | None, channel: Channel) -> str:
    """Return a value with the decimal places of its channel, without its unit."""
    return number(value, DIGITS[channel])


def day_and_time(at: datetime | None, zone: ZoneInfo) -> str:
    """Return the site's date and time, such as 2026-11-23 23:05."""
    return NO_VALUE if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def clock_time(at: datetime | None, zone: ZoneInfo) -> str:
    """Return the site's time of the day, such as 23:05."""
    return NO_VALUE if at is None else f"{at.astimezone(zone):%H:%M}"


def day(at: datetime | None, zone: ZoneInfo) -> str:
    """Return the site's date, such as 2026-11-23."""
    return NO_VALUE if at is None else f"{at.astimezone(zone):%Y-%m-%d}"


def chart_time(at: datetime, zone: ZoneInfo) -> int:
    """Return epoch milliseconds of the site's wall clock: ECharts shows them as UTC in any browser."""
    return int(at.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000)
