"""A small seeded site: minutes of flow and pressure with daily, weekly and seasonal patterns, and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np

from shared.contract.messages import Reading
from shared.domain.series import Floats, Ints, Series

KST = timezone(timedelta(hours=9))
MONDAY = datetime(2025, 3, 3, tzinfo=KST)
DAY = 1440


@dataclass(frozen=True)
class Shape:
    """How a site uses water."""

    mean_flow: float = 60.0
    """m³/h"""
    night_share: float = 0.35
    """Night flow as a share of the mean."""
    peaks: tuple[tuple[float, float, float], ...] = ((7.5, 1.5, 1.0), (20.0, 2.5, 0.8))
    """(hour, width in hours, height) of the day's peaks."""
    weekend: float = 0.1
    """How much later and higher weekends are."""
    season: float = 0.15
    minute_noise: float = 0.08
    slow_noise: float = 0.03
    """Relative standard deviations: of a minute, of a few hours."""
    day_noise: float = 0.02
    step: float = 0.01
    """Resolution of the flow meter, m³/h."""
    pressure: float = 4.0
    """bar; 0 for no gauge."""
    head_loss: float = 0.15
    """bar at mean flow."""


SHAPES = {
    "homes": Shape(),
    "works": Shape(mean_flow=140, night_share=0.5, peaks=((12.0, 4.0, 1.0),), weekend=-0.3, minute_noise=0.04),
    "village": Shape(mean_flow=8, night_share=0.15, minute_noise=0.3, slow_noise=0.08, day_noise=0.06, step=0.1),
    "resort": Shape(mean_flow=35, season=0.5, weekend=0.3, day_noise=0.06, slow_noise=0.05, head_loss=0.4),
    "main": Shape(mean_flow=900, night_share=0.7, minute_noise=0.02, slow_noise=0.02, step=1.0, pressure=0.0),
}


@dataclass
class SyntheticSite:
    """Minutes from MONDAY on; events change the arrays in place."""

    shape: Shape
    flow: Floats
    pressure: Floats
    events: list[tuple[str, float, int, int]] = field(default_factory=list)
    """(kind, size, first minute, stop)."""

    def burst(self, start: int, minutes: int, share: float) -> None:
        """Add a burst of a share of the mean flow."""
        flow = share * self.shape.mean_flow
        self._add(start, start + minutes, np.full(minutes, flow))
        self.events.append(("burst", share, start, start + minutes))

    def leak(self, start: int, minutes: int, share: float, growth_minutes: int) -> None:
        """Add a leak that grows over some minutes to a share of the mean flow."""
        self._add(
            start, start + minutes, share * self.shape.mean_flow * np.minimum(np.arange(minutes) / growth_minutes, 1.0)
        )
        self.events.append(("leak", share, start, start + minutes))

    def stuck(self, start: int, minutes: int) -> None:
        """Hold the flow meter at one value."""
        self.flow[start : start + minutes] = self.flow[start]
        self.events.append(("stuck", 0.0, start, start + minutes))

    def scale(self, kind: str, start: int, minutes: int, factor: float) -> None:
        """Multiply the flow reading: a spike, or a wrong unit."""
        self.flow[start : start + minutes] *= factor
        self.events.append((kind, factor, start, start + minutes))

    def dropout(self, start: int, minutes: int) -> None:
        """Remove the flow values."""
        self.flow[start : start + minutes] = np.nan
        self.events.append(("dropout", 0.0, start, start + minutes))

    def _add(self, start: int, stop: int, added: Floats) -> None:
        flow = self.flow[start:stop]
        loss = self.shape.head_loss * (
            ((flow + added) / self.shape.mean_flow) ** 1.85 - (flow / self.shape.mean_flow) ** 1.85
        )
        self.flow[start:stop] = flow + added
        self.pressure[start:stop] -= 1.5 * loss

    def readings(self, start: int = 0, stop: int | None = None, sensor: str = "001") -> list[Reading]:
        """Return the readings of minutes [start, stop)."""
        stop = len(self.flow) if stop is None else stop
        pairs = zip(self.flow[start:stop].tolist(), self.pressure[start:stop].tolist(), strict=True)
        return [
            Reading(
                site="site1",
                sensor=sensor,
                at=MONDAY + timedelta(minutes=start + k),
                flow_rate=_known(flow),
                pressure=_known(bar),
                boot_id="b",
                seq=start + k,
                source="test",
            )
            for k, (flow, bar) in enumerate(pairs)
        ]

    def series(self, start: int, stop: int) -> Series:
        """Return minutes [start, stop) as history does."""
        first = int(MONDAY.timestamp()) + 60 * start
        return Series(first + 60 * np.arange(stop - start), self.flow[start:stop], self.pressure[start:stop])


def make_site(shape: Shape, days: int, seed: int) -> SyntheticSite:
    """Return a site without events."""
    rng = np.random.default_rng(seed)
    minute = np.arange(days * DAY)
    level = 1 + shape.season * np.sin(2 * np.pi * (minute / DAY + rng.uniform(0, 365)) / 365)
    level *= np.repeat(1 + shape.day_noise * _drift(rng, days, 0.6), DAY)
    use = (_curve(shape, minute) - shape.night_share) * level + shape.night_share * (1 + 0.3 * (level - 1))
    slow = np.interp(minute, np.arange(0, days * DAY + 60, 60), shape.slow_noise * _drift(rng, days * 24 + 1, 0.7))
    noise = shape.minute_noise * _drift(rng, len(minute), 0.5) * np.sqrt(use.clip(0.05))
    flow = (shape.mean_flow * (use * (1 + slow) + noise)).clip(0)
    loss = shape.head_loss * (flow / shape.mean_flow) ** 1.85
    supply = np.interp(minute, np.arange(0, days * DAY + 60, 60), 0.03 * _drift(rng, days * 24 + 1, 0.9))
    pressure = shape.pressure - loss + supply + 0.01 * rng.standard_normal(len(minute))
    flow = np.round(np.round(flow / shape.step) * shape.step, 6)
    return SyntheticSite(shape, flow, np.round(pressure, 2) if shape.pressure else np.full(len(minute), np.nan))


def _curve(shape: Shape, minute: Ints) -> Floats:
    """Return the relative use at each minute, with mean near one."""
    weekend = (minute // DAY) % 7 >= 5
    hour = minute % DAY / 60 - 2 * shape.weekend * weekend * 5
    peaks = sum(height * np.exp(-0.5 * ((hour - at) / width) ** 2) for at, width, height in shape.peaks)
    day = 1 / (1 + np.exp(-(hour - 6))) / (1 + np.exp(hour - 23))
    use = shape.night_share + (1 + shape.weekend * weekend) * (0.5 * day + peaks)
    curve: Floats = use / use.mean()
    return curve


def _drift(rng: np.random.Generator, length: int, carryover: float) -> Floats:
    """Return AR(1) noise with unit variance."""
    innovations = rng.standard_normal(length) * np.sqrt(1 - carryover**2)
    weights = carryover ** np.arange(40)
    drift: Floats = np.convolve(innovations, weights)[:length]
    return drift


def _known(number: float) -> float | None:
    return None if np.isnan(number) else number
