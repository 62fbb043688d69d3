"""The values that meters can show: others are stored and alarmed, but enter no mean, night, profile or limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.domain.series import Floats, Series

Bounds = tuple[float, float]
"""Lowest and highest value, m³/h or bar."""
ANY_VALUE: tuple[Bounds, Bounds] = ((-1e300, 1e300), (-1e300, 1e300))


@dataclass(frozen=True)
class ValueRanges:
    """Bounds of flow rate and pressure by sensor."""

    bounds: Mapping[str, tuple[Bounds, Bounds]] = field(default_factory=dict)
    default: tuple[Bounds, Bounds] = ANY_VALUE
    """Bounds of other sensors."""

    def of(self, sensor: str) -> tuple[Bounds, Bounds]:
        """Return the bounds of flow rate and pressure."""
        return self.bounds.get(sensor, self.default)

    def usable(self, sensor: str, flow_rate: float | None, pressure: float | None) -> tuple[float | None, float | None]:
        """Return the values of a minute; None in place of one that the meter can't show."""
        flow_bounds, pressure_bounds = self.of(sensor)
        return _within(flow_rate, *flow_bounds), _within(pressure, *pressure_bounds)

    def usable_series(self, sensor: str, series: Series) -> Series:
        """Return readings with NaN in place of values that the meter can't show."""
        flow_bounds, pressure_bounds = self.of(sensor)
        flow_rate, pressure = _masked(series.flow_rate, *flow_bounds), _masked(series.pressure, *pressure_bounds)
        return type(series)(series.at, flow_rate, pressure)


UNBOUNDED = ValueRanges()
"""All values can be shown."""


def _within(value: float | None, low: float, high: float) -> float | None:
    return value if value is not None and low <= value <= high else None


def _masked(values: Floats, low: float, high: float) -> Floats:
    # Imported here only: the settings need the bounds, and services without series save the 16 MB of numpy.
    import numpy as np

    masked: Floats = np.where((values >= low) & (values <= high), values, np.nan)
    return masked
