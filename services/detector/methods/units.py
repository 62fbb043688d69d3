"""Unit changes: a logger was reconfigured or a meter exchanged."""

from __future__ import annotations

from shared.contract.messages import Channel

UNIT_FACTORS: dict[Channel, tuple[float, ...]] = {
    "flow_rate": (3.6, 60.0 / 3.6, 60.0, 10.0, 100.0, 1000.0),
    "pressure": (10.197, 14.504, 100.0),
}
"""m³/h to l/s, l/s to l/min, m³/h to m³/min, other pulse weights; bar to mH2O, psi, kPa; and their inverses."""
TOLERANCE_FACTOR = 1.15
"""Maximum deviation from such a factor, as a ratio."""


def looks_like_unit_change(channel: Channel, value: float, expected: float) -> bool:
    """Whether a value is a unit factor above or below the expected one; both in the channel's unit."""
    if value <= 0.0 or expected <= 0.0:
        return False
    ratio = max(value / expected, expected / value)
    return any(factor / TOLERANCE_FACTOR <= ratio <= factor * TOLERANCE_FACTOR for factor in UNIT_FACTORS[channel])
