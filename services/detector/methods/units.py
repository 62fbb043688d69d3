"""Whether a value looks as if it came in another unit: a logger was set up anew, or a meter exchanged."""

from __future__ import annotations

from shared.contract.messages import Channel

FACTORS: dict[Channel, tuple[float, ...]] = {
    "flow_rate": (3.6, 60.0 / 3.6, 60.0, 10.0, 100.0, 1000.0),
    "pressure": (10.197, 14.504, 100.0),
}
"""m³/h in l/s, l/s in l/min, m³/h in m³/min, pulses of another weight; bar in mH2O, psi, kPa.

The other way round, too.
"""
NEAR = 1.15
"""So many times off such a factor at most."""


def looks_converted(channel: Channel, value: float, usual: float) -> bool:
    """Whether a value is such a multiple or fraction of what is usual; both in the channel's unit."""
    if value <= 0.0 or usual <= 0.0:
        return False
    times = max(value / usual, usual / value)
    return any(factor / NEAR <= times <= factor * NEAR for factor in FACTORS[channel])
