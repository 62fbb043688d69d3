"""Pressure from flow: source, head loss (Hazen–Williams) and pressure-dependent leakage (FAVAD)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.detection.demand import LOCAL
from bench.detection.events import Event
from shared.domain.series import DAY, HOUR, Floats, Ints

SOURCES = ("constant", "valve", "pumps", "tank")
LOSS_EXPONENT = 1.852
"""Of flow in Hazen and Williams' head loss."""


@dataclass(frozen=True)
class Pipes:
    """Hydraulics of an inlet as one gauge sees them; pressures in bar."""

    source: str
    head: float
    """Pressure at no flow."""
    loss: float
    """Lost at mean flow, share of the head."""
    night_drop: float
    """A valve's lower setting at night, or how far pumps and tanks swing, share of the head."""
    exponent: float
    """N1 of FAVAD: leakage goes with pressure to this power (May, 1994; Lambert, 2001)."""
    near: float
    """Pressure that a burst takes, in parts of what the same flow takes as demand: it may be near the gauge or far."""
    noise: float
    """Spread of a minute's pressure from all else, bar."""

    @classmethod
    def draw(cls, rng: np.random.Generator, hard: bool) -> Pipes:
        """A random one."""
        return cls(
            source=str(rng.choice(SOURCES)),
            head=float(rng.uniform(2.5, 7.0)),
            loss=float(np.exp(rng.uniform(*np.log((0.01, 0.10) if hard else (0.02, 0.20))))),
            night_drop=float(rng.uniform(0.04, 0.25)),
            exponent=float(rng.uniform(0.5, 1.5)),
            near=float(rng.uniform(0.3, 2.0)),
            noise=float(np.exp(rng.uniform(*np.log((0.02, 0.10) if hard else (0.005, 0.03))))),
        )


def flows_and_pressures(
    rng: np.random.Generator, pipes: Pipes, background: float, at: Ints, demand: Floats, events: list[Event]
) -> tuple[Floats, Floats, Floats]:
    """(n,) flow and leakage in parts of the mean, pressure in bar: (flow, pressure, usual background leakage).

    Pressure depends on flow and leakage on pressure; two rounds settle it to below a gauge's resolution.
    """
    head = pipes.head * (1 + _source(rng, pipes, at)) + _settings(pipes, at, events)
    lost, extra = _losses(at, events), _legitimate(at, events)
    usual = pressure = head - pipes.head * pipes.loss
    reference = float(np.mean(usual))
    for _ in range(2):
        relative = np.maximum(pressure, 0.05) / reference
        leakage = background * relative**pipes.exponent
        escaping = lost * np.sqrt(relative)
        flow = demand + leakage + escaping + extra
        felt = demand + leakage + pipes.near * escaping + extra
        pressure = head - pipes.head * pipes.loss * np.maximum(felt, 0.0) ** LOSS_EXPONENT
    slow = np.repeat(rng.standard_normal(len(at) // 30 + 1), 30)[: len(at)]
    pressure = pressure + pipes.noise * (0.8 * rng.standard_normal(len(at)) + 0.6 * slow)
    return np.maximum(flow, 0.0), np.maximum(pressure, 0.0), leakage


def _source(rng: np.random.Generator, pipes: Pipes, at: Ints) -> Floats:
    """How far the source is off its head, as a share of it."""
    hour = (at + LOCAL) % DAY / HOUR
    if pipes.source == "valve":
        night = np.clip(np.minimum((hour - 23) % 24, (6 - hour) % 24) / 0.2, 0, 1) * (((hour - 23) % 24) < 7)
        found: Floats = -pipes.night_drop * night
    elif pipes.source == "pumps":
        switching = np.cumsum(rng.exponential(rng.uniform(0.3, 6) * HOUR, 8 + len(at)))
        state = np.searchsorted(switching, at - at[0]) % 2
        found = -0.3 * pipes.night_drop * state
    elif pipes.source == "tank":
        period = rng.uniform(0.8, 1.6) * DAY
        phase = np.interp(at, at[:: 24 * 60], np.cumsum(rng.normal(0, 0.4, len(at[:: 24 * 60]))))
        found = 0.4 * pipes.night_drop * np.sin(2 * np.pi * (at - at[0]) / period + phase)
    else:
        found = np.zeros(len(at))
    return found


def _settings(pipes: Pipes, at: Ints, events: list[Event]) -> Floats:
    """Pressure moved for good by a valve's new setting or a re-zoned district, bar."""
    moved = np.zeros(len(at))
    for event in events:
        if event.kind in ("setting", "rezoning"):
            share = event.size if event.kind == "setting" else -0.3 * event.size
            moved[at >= event.start] -= share * pipes.head
    return moved


def _losses(at: Ints, events: list[Event]) -> Floats:
    """Flow of bursts (there within ten minutes) and leaks (growing for a third of their time), at mean pressure."""
    lost = np.zeros(len(at))
    for event in events:
        if event.kind in ("burst", "leak"):
            grows = 600 if event.kind == "burst" else (event.stop - event.start) / 3
            age = at - event.start
            lost += np.where((age >= 0) & (at < event.stop), event.size * np.clip(age / grows, 0.02, 1), 0.0)
    return lost


def _legitimate(at: Ints, events: list[Event]) -> Floats:
    """Flow of flushing (a block) and high demand (a hump, or firefighting in surges)."""
    extra = np.zeros(len(at))
    for event in events:
        inside = (at >= event.start) & (at < event.stop)
        if event.kind == "flushing":
            extra[inside] += event.size
        elif event.kind == "high_demand":
            age = (at[inside] - event.start) / (event.stop - event.start)
            extra[inside] += event.size * np.sqrt(np.sin(np.pi * age))
    return extra
