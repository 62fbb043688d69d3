"""Meter model: pulses, resolution and units of flow and pressure readings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.domain.series import Floats

FLOW_UNITS = {"m³/h": 1.0, "l/s": 1 / 3.6, "m³/min": 1 / 60}
PRESSURE_UNITS = {"bar": 1.0, "kPa": 100.0, "mH2O": 10.1972}


@dataclass(frozen=True)
class Meters:
    """Both meters of an inlet."""

    pulses: bool
    """Whether flow is counted in pulses of a volume, with the rest carried over, or shown in rounded steps."""
    flow_step: float
    """m³/h"""
    pressure_step: float
    """bar"""
    flow_unit: float
    """Meter's number for 1 m³/h."""
    pressure_unit: float
    """Meter's number for 1 bar."""
    missing: float
    """Share of minutes without a value."""

    @classmethod
    def random(cls, rng: np.random.Generator, hard: bool, mean_flow: float) -> Meters:
        """Draw random meters that suit the flow."""
        steps = [step for step in (0.01, 0.1, 0.5, 1.0) if step <= (0.15 if hard else 0.05) * mean_flow]
        has_standard_units = rng.random() < 0.6
        return cls(
            pulses=bool(rng.random() < 0.4),
            flow_step=float(rng.choice(steps[-2:] if hard else steps)),
            pressure_step=float(rng.choice((0.01, 0.05, 0.1) if hard else (0.001, 0.01, 0.01, 0.05))),
            flow_unit=1.0 if has_standard_units else float(rng.choice(list(FLOW_UNITS.values()))),
            pressure_unit=1.0 if has_standard_units else float(rng.choice(list(PRESSURE_UNITS.values()))),
            missing=float(rng.choice((0.0, 0.0002, 0.002, 0.01) if hard else (0.0, 0.0, 0.0002, 0.001))),
        )


def measure(rng: np.random.Generator, meters: Meters, flow: Floats, pressure: Floats) -> tuple[Floats, Floats]:
    """Return (n,) flow and pressure as the meters show them, in their units; NaN for missing values."""
    if meters.pulses:
        counted = np.floor(np.concatenate(([0.0], np.cumsum(flow))) / meters.flow_step)
        flow = np.diff(counted) * meters.flow_step
    else:
        flow = np.round(flow / meters.flow_step) * meters.flow_step
    pressure = np.round(pressure / meters.pressure_step) * meters.pressure_step
    readings = np.round(flow * meters.flow_unit, 4), np.round(pressure * meters.pressure_unit, 3)
    for values in readings:
        values[rng.random(len(values)) < meters.missing] = np.nan
    return readings
