"""A plausible DMA: seed, sensor and time alone determine each minute, so history and live readings agree."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from services.ingest.sources.line_reader import Measurement
from shared.domain.local_time import hour_of_week, local_seconds, local_time, minute_of_day
from shared.domain.series import DAY, HOUR, MINUTE, Floats, Ints, Series
from shared.settings import Settings

WORKDAY_PROFILE = (
    22,
    18,
    16,
    16,
    20,
    42,
    92,
    150,
    142,
    116,
    104,
    102,
    108,
    104,
    98,
    96,
    104,
    122,
    148,
    158,
    140,
    112,
    74,
    40,
)
WEEKEND_PROFILE = (
    28,
    22,
    18,
    16,
    18,
    26,
    50,
    92,
    136,
    156,
    150,
    140,
    132,
    124,
    116,
    110,
    112,
    124,
    142,
    148,
    132,
    106,
    76,
    46,
)
"""Relative flow by local hour."""
PROFILE_MEAN = (5 * sum(WORKDAY_PROFILE) + 2 * sum(WEEKEND_PROFILE)) / (7 * 24)
SLOW_NOISE_SCALES = ((30 * DAY, 0.03), (2 * DAY, 0.03), (HOUR, 0.02), (10 * MINUTE, 0.02))
"""Slow noise of the demand: time scale in seconds and standard deviation as a share of the flow."""
MINUTE_NOISE_SHARE = 0.03
LEAK_INTERVAL_SECONDS = 90 * DAY
"""Seconds; each interval has one leak or burst."""
METER_RESOLUTION = 0.01
"""Resolution of both meters, m³/h and bar."""


@dataclass(frozen=True)
class Simulator:
    """One site with one DMA inlet per sensor."""

    seed: int
    sensors: tuple[str, ...]
    mean_flow: float
    """m³/h"""
    mean_pressure: float
    """bar"""
    zone: ZoneInfo

    def history(self, sensor: str, start: int, stop: int) -> Series:
        """Return all minutes of [start, stop), epoch seconds."""
        at = np.arange(-(-start // MINUTE) * MINUTE, stop, MINUTE, dtype=np.int64)
        key = zlib.crc32(f"{self.seed}/{sensor}".encode())
        demand = self.mean_flow * self._expected_flow(at) * (1 + self._slow_noise(at, key))
        demand *= 1 + MINUTE_NOISE_SHARE * gaussian_noise(at // MINUTE, key + 1)
        flow = np.maximum(demand, 0.02 * self.mean_flow) + self.mean_flow * leakage_share(at, key)
        headloss = 0.12 * (flow / self.mean_flow) ** 1.852
        pressure = self.mean_pressure * (1.15 - headloss + 0.004 * gaussian_noise(at // MINUTE, key + 2))
        return Series(at, _round_to_resolution(flow), _round_to_resolution(np.maximum(pressure, 0.0)))

    def minute(self, sensor: str, at: int) -> Measurement:
        """Return one minute, equal to that of `history`."""
        series = self.history(sensor, at, at + MINUTE)
        return Measurement(sensor, local_time(at, self.zone), float(series.flow_rate[0]), float(series.pressure[0]))

    def _expected_flow(self, at: Ints) -> Floats:
        """Return the flow as a share of its mean, by hour, type of day and season (higher in summer)."""
        local = local_seconds(at, self.zone)
        hours = np.append(np.arange(24) + 0.5, 24.5)
        hour = (minute_of_day(local) / 60 - 0.5) % 24 + 0.5
        workday, weekend = (
            np.interp(hour, hours, [*curve, curve[0]]) / PROFILE_MEAN for curve in (WORKDAY_PROFILE, WEEKEND_PROFILE)
        )
        summer = np.cos(2 * np.pi * (local / DAY - 210) / 365.25)
        usual: Floats = np.where(hour_of_week(local) < 120, workday, weekend) * (1 + 0.10 * summer)
        return usual

    def _slow_noise(self, at: Ints, key: int) -> Floats:
        wandering: Floats = np.zeros(len(at))
        for scale, spread in SLOW_NOISE_SCALES:
            wandering += spread * value_noise(at, scale, key + scale)
        return wandering


class SimulatorSource:
    """Yields each minute of the simulator after it has closed."""

    def __init__(self, site: Simulator) -> None:
        self._site = site
        self._next: int | None = None

    def poll(self, now: datetime, max_items: int) -> Iterator[Measurement]:
        """Yield the minutes that closed since the last poll, at most `max_items` items but at least one minute.

        The first poll starts at the present minute, and so does a poll after a clock jump of more than an hour.
        """
        present = int(now.timestamp()) // MINUTE * MINUTE
        if self._next is None or abs(present - self._next) > HOUR:
            self._next = present
        minutes = max(1, max_items // len(self._site.sensors))
        for at in range(self._next, min(present, self._next + minutes * MINUTE), MINUTE):
            self._next = at + MINUTE
            for sensor in self._site.sensors:
                yield self._site.minute(sensor, at)

    def commit(self) -> None:
        """Do nothing: minutes of a time when ingest was down are lost, as with a real meter."""


def make_simulator(settings: Settings) -> Simulator:
    """Return the simulator that site.toml describes."""
    simulator = settings.simulator
    return Simulator(simulator.seed, simulator.sensors, simulator.mean_flow, simulator.mean_pressure, settings.zone)


def leakage_share(at: Ints, key: int) -> Floats:
    """Return the leakage as a share of the mean flow: one leak per interval, gradual or sudden, for 2 to 14 days."""
    span = at // LEAK_INTERVAL_SECONDS
    begin, length, size, sudden = (hashed_uniform(span, key + 10 + part) for part in range(4))
    days = 2 + 12 * length
    opened = span * LEAK_INTERVAL_SECONDS + begin * (LEAK_INTERVAL_SECONDS - days * DAY)
    age = (at - opened) / DAY
    growth = np.where(sudden < 0.5, 1.0, np.clip(age / 3, 0, 1))
    share: Floats = np.where((age >= 0) & (age < days), (0.06 + 0.14 * size) * growth, 0.0)
    return share


def value_noise(at: Ints, scale: int, key: int) -> Floats:
    """Return normal noise that varies over `scale` seconds, between hashed knots (Perlin's value noise)."""
    position = at / scale
    knot = np.floor(position).astype(np.int64)
    weight = position - knot
    weight = weight * weight * (3 - 2 * weight)
    mixed: Floats = gaussian_noise(knot, key) * (1 - weight) + gaussian_noise(knot + 1, key) * weight
    return mixed / np.sqrt(weight**2 + (1 - weight) ** 2)


def gaussian_noise(index: Ints, key: int) -> Floats:
    """Return standard normal numbers by index (Box and Muller, 1958)."""
    radius = np.sqrt(-2 * np.log1p(-hashed_uniform(index, 2 * key)))
    normal: Floats = radius * np.cos(2 * np.pi * hashed_uniform(index, 2 * key + 1))
    return normal


def hashed_uniform(index: Ints, key: int) -> Floats:
    """Return numbers of [0, 1) by index (splitmix64; Steele, Lea and Flood, 2014)."""
    mixed = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key * 0xD1342543DE82EF95 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    numbers: Floats = (mixed >> np.uint64(11)) / 2**53
    return numbers


def _round_to_resolution(values: Floats) -> Floats:
    return np.round(np.round(values / METER_RESOLUTION) * METER_RESOLUTION, 2)
