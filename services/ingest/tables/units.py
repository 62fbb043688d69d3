"""Units of flow rate and pressure."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from shared.contract.messages import Channel


class Unit(NamedTuple):
    """A unit; one of it is `factor` m³/h or bar."""

    channel: Channel
    factor: float


_FLOW_RATE = {
    "m3/h m^3/h m3/hr m3/hour m3/시 m3/시간 m3h cmh t/h t/hr ton/h ton/hr 톤/h 톤/hr 톤/시 톤/시간": 1.0,
    "m3/s m^3/s m3/sec m3/초 cms": 3600.0,
    "m3/min m^3/min m3/분 cmm": 60.0,
    "m3/d m^3/d m3/day m3/일 cmd t/d ton/d ton/day 톤/일": 1 / 24,
    "l/s l/sec l/초 lps": 3.6,
    "l/min l/분 lpm": 0.06,
    "l/h l/hr l/시 lph": 0.001,
}
_PRESSURE = {
    "bar": 1.0,
    "mbar hpa": 0.001,
    "pa": 1e-5,
    "kpa": 0.01,
    "mpa": 10.0,
    "kgf/cm2 kg/cm2 kgf/cm^2 kg/cm^2": 0.980665,
    "psi": 0.0689475729,
    "m mh2o maq mwc mca 수두m": 0.0980665,
}
UNITS = {name: Unit("flow_rate", factor) for names, factor in _FLOW_RATE.items() for name in names.split()} | {
    name: Unit("pressure", factor) for names, factor in _PRESSURE.items() for name in names.split()
}
"""Plain name of a unit to the unit."""
TOTAL_UNITS = frozenset({"m3", "m^3", "l", "ton", "톤", "kl"})
"""Units of a volume: such a column is a total and no rate."""
KNOWN_UNITS = "m3/h, m3/s, m3/min, m3/day, l/s, l/min, l/h, ton/h; bar, mbar, Pa, kPa, MPa, kgf/cm2, psi, m"
"""For error messages."""


def plain(text: str) -> str:
    """Return a text in lower case, with compatibility characters (㎥, ㎠, ², full width) replaced, without blanks.

    >>> plain("㎥ / H")
    'm3/h'
    """
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def find_unit(text: str) -> Unit | None:
    """Return the unit of that name, or None."""
    return UNITS.get(plain(text))
