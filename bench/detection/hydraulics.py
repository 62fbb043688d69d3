"""Pressure from flow: source, head loss (Hazen–Williams) and pressure-dependent leakage (FAVAD)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.detection.demand import UTC_OFFSET_SECONDS
from bench.detection.events import Event
from shared.domain.series import DAY, HOUR, Floats, Ints

SOURCES = ("constant", "valve", "pumps", "tank")
LOSS_EXPONENT = 1.852
"""Exponent of flow in the head loss of Hazen and Williams."""


@dataclass(frozen=True)
class InletHydraulics:
    """Hydraulics of an inlet as seen by one gauge; pressures in bar."""

    source: str
    static_pressure: float
    """Pressure at no flow."""
    loss_share: float
    """Head loss at mean flow, as a share of the static pressure."""
    night_drop: float
    """Lower valve setting at night, or amplitude of pumps and tanks, as a share of the static pressure."""
    exponent: float
    """N1 of FAVAD: leakage is proportional to pressure to this power (May, 1994; Lambert, 2001)."""
    burst_pressure_factor: float
    """Pressure loss of a burst relative to the same flow as demand; it depends on the distance to the gauge."""
    minute_std: float
    """Standard deviation of a minute's pressure from all other causes, bar."""

    @classmethod
    def random(cls, rng: np.random.Generator, hard: bool) -> InletHydraulics:
        """Draw random hydraulics."""
        return cls(
            source=str(rng.choice(SOURCES)),
            static_pressure=float(rng.uniform(2.5, 7.0)),
            loss_share=float(np.exp(rng.uniform(*np.log((0.01, 0.10) if hard else (0.02, 0.20))))),
            night_drop=float(rng.uniform(0.04, 0.25)),
            exponent=float(rng.uniform(0.5, 1.5)),
            burst_pressure_factor=float(rng.uniform(0.3, 2.0)),
            minute_std=float(np.exp(rng.uniform(*np.log((0.02, 0.10) if hard else (0.005, 0.03))))),
        )


def flows_and_pressures(
    rng: np.random.Generator,
    hydraulics: InletHydraulics,
    background: float,
    at: Ints,
    demand: Floats,
    events: list[Event],
) -> tuple[Floats, Floats, Floats]:
    """Return (n,) flow (share of the mean), pressure (bar), and background leakage (share of the mean).

    Pressure depends on flow and leakage on pressure; two rounds converge to below a gauge's resolution.
    """
    source_pressure = hydraulics.static_pressure * (1 + _source(rng, hydraulics, at)) + _settings(
        hydraulics, at, events
    )
    losses, legitimate = _losses(at, events), _legitimate(at, events)
    expected_pressure = pressure = source_pressure - hydraulics.static_pressure * hydraulics.loss_share
    reference = float(np.mean(expected_pressure))
    for _ in range(2):
        relative = np.maximum(pressure, 0.05) / reference
        leakage = background * relative**hydraulics.exponent
        burst_flow = losses * np.sqrt(relative)
        flow = demand + leakage + burst_flow + legitimate
        effective_flow = demand + leakage + hydraulics.burst_pressure_factor * burst_flow + legitimate
        pressure = (
            source_pressure
            - hydraulics.static_pressure * hydraulics.loss_share * np.maximum(effective_flow, 0.0) ** LOSS_EXPONENT
        )
    slow = np.repeat(rng.standard_normal(len(at) // 30 + 1), 30)[: len(at)]
    pressure = pressure + hydraulics.minute_std * (0.8 * rng.standard_normal(len(at)) + 0.6 * slow)
    return np.maximum(flow, 0.0), np.maximum(pressure, 0.0), leakage


def _source(rng: np.random.Generator, hydraulics: InletHydraulics, at: Ints) -> Floats:
    """Return the change of the source's pressure, as a share of the static pressure."""
    hour = (at + UTC_OFFSET_SECONDS) % DAY / HOUR
    if hydraulics.source == "valve":
        at_night = np.clip(np.minimum((hour - 23) % 24, (6 - hour) % 24) / 0.2, 0, 1) * (((hour - 23) % 24) < 7)
        share: Floats = -hydraulics.night_drop * at_night
    elif hydraulics.source == "pumps":
        switching = np.cumsum(rng.exponential(rng.uniform(0.3, 6) * HOUR, 8 + len(at)))
        state = np.searchsorted(switching, at - at[0]) % 2
        share = -0.3 * hydraulics.night_drop * state
    elif hydraulics.source == "tank":
        period = rng.uniform(0.8, 1.6) * DAY
        phase = np.interp(at, at[:: 24 * 60], np.cumsum(rng.normal(0, 0.4, len(at[:: 24 * 60]))))
        share = 0.4 * hydraulics.night_drop * np.sin(2 * np.pi * (at - at[0]) / period + phase)
    else:
        share = np.zeros(len(at))
    return share


def _settings(hydraulics: InletHydraulics, at: Ints, events: list[Event]) -> Floats:
    """Return the permanent pressure change from valve settings and re-zoning, bar."""
    change = np.zeros(len(at))
    for event in events:
        if event.kind in ("setting", "rezoning"):
            share = event.size if event.kind == "setting" else -0.3 * event.size
            change[at >= event.start] -= share * hydraulics.static_pressure
    return change


def _losses(at: Ints, events: list[Event]) -> Floats:
    """Return the flow of bursts (full after ten minutes) and leaks (growing for a third of their time)."""
    flow = np.zeros(len(at))
    for event in events:
        if event.kind in ("burst", "leak"):
            growth_seconds = 600 if event.kind == "burst" else (event.stop - event.start) / 3
            age = at - event.start
            flow += np.where((age >= 0) & (at < event.stop), event.size * np.clip(age / growth_seconds, 0.02, 1), 0.0)
    return flow


def _legitimate(at: Ints, events: list[Event]) -> Floats:
    """Return the flow of flushing (constant) and high demand (rising and falling)."""
    flow = np.zeros(len(at))
    for event in events:
        inside = (at >= event.start) & (at < event.stop)
        if event.kind == "flushing":
            flow[inside] += event.size
        elif event.kind == "high_demand":
            age = (at[inside] - event.start) / (event.stop - event.start)
            flow[inside] += event.size * np.sqrt(np.sin(np.pi * age))
    return flow
