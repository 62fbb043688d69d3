"""Numbers, units and times as pages show them. Times are the site's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.contract.messages import Channel
from shared.settings.sections import Display

NO_VALUE = "–"
FLOW_UNIT = "m³/h"
"""Unit of night flow and excess flow: that of losses everywhere."""
SWAPPED_SIGNS = str.maketrans(",.", ".,")


@dataclass(frozen=True)
class Unit:
    """Unit in which values of a channel are shown."""

    name: str
    factor: float
    """Values of 1 m³/h or 1 bar in this unit."""
    digits: int
    """Decimal places of a value."""


UNITS: dict[Channel, dict[str, Unit]] = {
    "flow_rate": {
        "m3/h": Unit("m³/h", 1.0, 1),
        "l/s": Unit("L/s", 1 / 3.6, 2),
        "m3/day": Unit("m³/d", 24.0, 0),
    },
    "pressure": {
        "bar": Unit("bar", 1.0, 2),
        "kPa": Unit("kPa", 100.0, 0),
        "MPa": Unit("MPa", 0.1, 3),
        "kgf/cm2": Unit("kgf/cm²", 1.019716, 2),
        "m": Unit("m", 10.19716, 1),
        "psi": Unit("psi", 14.50377, 1),
    },
}
"""Units by channel and by their name in site.toml."""


def shown_units(display: Display) -> dict[Channel, Unit]:
    """Return the unit of each channel."""
    return {"flow_rate": UNITS["flow_rate"][display.flow_rate], "pressure": UNITS["pressure"][display.pressure]}


def number(value: float | None, digits: int = 1, decimal: str = ".") -> str:
    """Return a number with thousands separators.

    >>> number(1234.56), number(1234.56, decimal=","), number(None)
    ('1,234.6', '1.234,6', '–')
    """
    if value is None:
        return NO_VALUE
    text = f"{value:,.{digits}f}"
    return text if decimal == "." else text.translate(SWAPPED_SIGNS)


def in_unit(value: float | None, unit: Unit) -> float | None:
    """Return a value, m³/h or bar, in a unit."""
    return None if value is None else value * unit.factor


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
