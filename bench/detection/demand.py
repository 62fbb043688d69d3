"""Expected and actual demand of a district, minute by minute, as a share of its mean flow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from bench.detection.holidays import holidays
from shared.domain.series import DAY, Floats, Ints

UTC_OFFSET_SECONDS = 9 * 3600
"""Korea is nine hours ahead of UTC all year."""
DAY_SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "homes": (
        (24, 18, 16, 16, 20, 42, 92, 150, 142, 116, 104, 102, 108, 104, 98, 96, 104, 122, 148, 158, 140, 112, 74, 40),
        (28, 22, 18, 16, 18, 26, 50, 92, 136, 156, 150, 140, 132, 124, 116, 110, 112, 124, 142, 148, 132, 106, 76, 46),
    ),
    "flats": (
        (30, 18, 12, 10, 16, 60, 190, 260, 170, 96, 78, 74, 80, 74, 70, 72, 88, 122, 170, 190, 180, 150, 104, 56),
        (
            40,
            26,
            16,
            12,
            14,
            26,
            60,
            120,
            190,
            206,
            176,
            150,
            140,
            128,
            118,
            112,
            116,
            132,
            164,
            178,
            164,
            136,
            100,
            62,
        ),
    ),
    "mixed": (
        (40, 34, 32, 32, 36, 54, 96, 136, 146, 142, 138, 136, 130, 138, 136, 132, 128, 126, 130, 126, 112, 92, 68, 50),
        (44, 38, 34, 32, 34, 42, 62, 90, 114, 128, 130, 126, 122, 118, 112, 108, 110, 116, 126, 128, 116, 98, 76, 56),
    ),
    "industry": (
        (34, 32, 32, 32, 38, 60, 110, 170, 210, 222, 226, 218, 150, 214, 222, 216, 196, 140, 96, 78, 66, 54, 44, 38),
        (30, 28, 28, 28, 28, 30, 34, 40, 46, 50, 50, 50, 46, 48, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30),
    ),
    "tourism": (
        (46, 34, 28, 26, 28, 44, 80, 124, 148, 144, 128, 116, 118, 116, 108, 106, 118, 136, 158, 166, 152, 126, 96, 66),
        (
            60,
            44,
            34,
            30,
            32,
            46,
            84,
            140,
            188,
            196,
            170,
            150,
            152,
            146,
            136,
            134,
            150,
            176,
            206,
            212,
            190,
            160,
            124,
            88,
        ),
    ),
    "rural": (
        (16, 12, 12, 14, 34, 90, 140, 150, 124, 104, 98, 110, 116, 92, 84, 90, 116, 150, 160, 132, 92, 62, 38, 22),
        (16, 12, 12, 14, 30, 76, 124, 146, 138, 120, 110, 114, 118, 98, 90, 94, 116, 146, 152, 126, 90, 62, 38, 22),
    ),
    "night_users": (
        (128, 134, 138, 136, 126, 108, 104, 122, 118, 96, 84, 80, 82, 80, 76, 76, 82, 92, 106, 108, 98, 88, 92, 112),
        (96, 98, 100, 98, 92, 80, 78, 92, 106, 112, 106, 98, 94, 90, 84, 82, 86, 94, 106, 108, 98, 86, 82, 88),
    ),
}
"""Relative flow by local hour on working days and on weekends; other holidays are like weekends."""
SEASON_AMPLITUDES = {
    "tourism": 0.22,
    "rural": 0.16,
    "homes": 0.07,
    "flats": 0.05,
    "mixed": 0.05,
    "industry": 0.03,
    "night_users": 0.06,
}
PULSE_MINUTES = (1, 3, 9, 40)
"""Minutes that water runs: taps, showers, washing, filling and sprinkling."""


@dataclass(frozen=True)
class DemandProfile:
    """How a district uses water."""

    shape: str
    background: float
    """Leakage and other constant flow, as a share of the mean."""
    minute_std: float
    """Standard deviation of a minute's flow at mean flow, from single draws, as a share of the mean."""
    hourly_std: float
    """Standard deviation of the slow noise over hours, as a share of the expected demand."""
    daily_std: float
    """Standard deviation of the slow noise over days, as a share of the expected demand."""
    shift_hours_std: float
    """Standard deviation of the hours by which a day's shape is early or late."""
    demand_per_degree: float
    """Increase of demand for each °C above 22."""
    growth_per_year: float
    """Growth a year, as a share of the mean."""
    family_holiday_level: float
    """Demand on the family holidays relative to a weekend: below 1 people leave, above 1 they come."""


def expected_demand(profile: DemandProfile, at: Ints, heat: Floats, shifts: Floats) -> Floats:
    """Return (n,) expected demand without constant flow, mean about 1; shifts: hours that each local day is late."""
    local = at + UTC_OFFSET_SECONDS
    day = (local // DAY - local[0] // DAY).astype(np.int64)
    hours = np.concatenate(([-0.5], np.arange(24) + 0.5, [24.5]))
    curves = [np.array([curve[-1], *curve, curve[0]]) for curve in DAY_SHAPES[profile.shape]]
    mean = (5 * curves[0][1:-1].mean() + 2 * curves[1][1:-1].mean()) / 7
    local_hour = (local % DAY) / 3600
    local_hour = (local_hour - np.interp(local, _noons(local), shifts)) % 24
    weekly = [np.interp(local_hour, hours, curve / mean) for curve in curves]
    is_free, level = _free_days_and_levels(profile, local)
    level = np.interp(local, _noons(local), level) if profile.shape == "rural" else level[day]
    season = 1 + SEASON_AMPLITUDES[profile.shape] * np.cos(2 * np.pi * (local / DAY - 215) / 365.25)
    growth = 1 + profile.growth_per_year * (at - at[0]) / (365 * DAY)
    demand: Floats = np.where(is_free[day], weekly[1], weekly[0]) * level * season * growth * (1 + heat)
    return demand


def poisson_pulses(rng: np.random.Generator, demand: Floats, minute_std: float) -> Floats:
    """Return demand as a sum of Poisson rectangular pulses (Rodríguez-Iturbe; Buchberger and Wu, 1995).

    The variance is proportional to the mean. minute_std: standard deviation of a minute at demand 1.
    """
    total = np.zeros(len(demand))
    shares = np.array((0.30, 0.30, 0.25, 0.15))
    for minutes, share in zip(PULSE_MINUTES, shares, strict=True):
        height = minute_std**2
        started = rng.poisson(np.maximum(demand, 0.0) * share / (height * minutes)).astype(np.float64)
        running = np.cumsum(started)
        running[minutes:] -= running[:-minutes].copy()
        total += height * running
    return total


def slow_noise(rng: np.random.Generator, minutes: int, hourly_std: float, daily_std: float) -> Floats:
    """Return slow variations of the demand around 0: autoregressive over about five hours and three days."""
    hours = minutes // 60 + 2
    fast = _autoregressive(rng, hours, np.exp(-1 / 5)) * hourly_std
    slow = _autoregressive(rng, hours // 24 + 2, np.exp(-1 / 3)) * daily_std
    at = np.arange(minutes)
    noise: Floats = np.interp(at, np.arange(hours) * 60, fast) + np.interp(at, np.arange(len(slow)) * 1440, slow)
    return noise


def temperature(rng: np.random.Generator, at: Ints) -> Floats:
    """Return the daily mean temperature in °C at each minute, from season and weather."""
    local = (at + UTC_OFFSET_SECONDS) / DAY
    days = int(local[-1] - local[0]) + 3
    weather = 3.2 * _autoregressive(rng, days, np.exp(-1 / 4))
    degrees: Floats = (
        12.5 - 13.5 * np.cos(2 * np.pi * (local - 20) / 365.25) + np.interp(local - local[0], np.arange(days), weather)
    )
    return degrees


def holiday_spans(first: int, last: int) -> list[tuple[int, int, str]]:
    """Return (start, stop, kind) in epoch seconds of runs of public holidays that overlap [first, last)."""
    years = range(_date(first + UTC_OFFSET_SECONDS).year, _date(last + UTC_OFFSET_SECONDS).year + 1)
    days = sorted((day, kind) for year in years for day, kind in holidays(year).items())
    spans: list[tuple[int, int, str]] = []
    for day, kind in days:
        start = (day - date(1970, 1, 1)).days * DAY - UTC_OFFSET_SECONDS
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], start + DAY, max(kind, spans[-1][2], key=("public", "seollal", "chuseok").index))
        else:
            spans.append((start, start + DAY, kind))
    return [span for span in spans if span[0] < last and span[1] > first]


def _free_days_and_levels(profile: DemandProfile, local: Ints) -> tuple[np.ndarray, Floats]:
    """Return for each local day whether it is free, and its level relative to others of its kind."""
    first, last = _date(int(local[0])), _date(int(local[-1]))
    holiday_kinds = {day: kind for year in range(first.year, last.year + 1) for day, kind in holidays(year).items()}
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    is_free = np.array([day.weekday() >= 5 or day in holiday_kinds for day in days])
    level = np.array(
        [profile.family_holiday_level if holiday_kinds.get(day, "public") != "public" else 1.0 for day in days]
    )
    return is_free, level


def _noons(local: Ints) -> Ints:
    first, last = int(local[0]) // DAY, int(local[-1]) // DAY
    noons: Ints = np.arange(first, last + 1, dtype=np.int64) * DAY + DAY // 2
    return noons


def _date(local: int) -> date:
    return date(1970, 1, 1) + timedelta(days=local // DAY)


def _autoregressive(rng: np.random.Generator, length: int, carryover: float) -> Floats:
    """Return AR(1) noise with standard normal values."""
    noise = rng.standard_normal(length)
    values = np.empty(length)
    value_now, innovation_std = noise[0], float(np.sqrt(1 - carryover**2))
    for index, value in enumerate(noise.tolist()):
        value_now = carryover * value_now + innovation_std * value if index else value
        values[index] = value_now
    return values
