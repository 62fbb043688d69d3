"""Expected and actual demand of a district, minute by minute, in parts of its mean flow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from bench.detection.holidays import holidays
from shared.domain.series import DAY, Floats, Ints

LOCAL = 9 * 3600
"""Korea is nine hours ahead of UTC, all year."""
SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
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
"""Flow by local hour on working days and weekends; other holidays are like weekends."""
SEASONS = {
    "tourism": 0.22,
    "rural": 0.16,
    "homes": 0.07,
    "flats": 0.05,
    "mixed": 0.05,
    "industry": 0.03,
    "night_users": 0.06,
}
PULSES = (1, 3, 9, 40)
"""Minutes that water runs: taps, showers, washing, filling and sprinkling."""


@dataclass(frozen=True)
class Habits:
    """How a district uses water."""

    shape: str
    background: float
    """Leakage and other flow that never stops, share of the mean."""
    grain: float
    """Spread of a minute's flow around what is expected at mean flow, from single draws, share of the mean."""
    hourly: float
    """Spread of the wandering over hours, share of the expected demand."""
    daily: float
    """The same, over days."""
    jitter: float
    """Hours by which a day's shape comes earlier or later, standard deviation."""
    warmth: float
    """More demand for each °C above 22."""
    trend: float
    """Growth a year, share of the mean."""
    away: float
    """Demand on the great family holidays, of a weekend's: below 1 people leave, above 1 they come."""


def expected(habits: Habits, at: Ints, heat: Floats, shifts: Floats) -> Floats:
    """(n,) expected demand without background flow, mean about 1; shifts: hours by which each local day is late."""
    local = at + LOCAL
    day = (local // DAY - local[0] // DAY).astype(np.int64)
    hours = np.concatenate(([-0.5], np.arange(24) + 0.5, [24.5]))
    curves = [np.array([curve[-1], *curve, curve[0]]) for curve in SHAPES[habits.shape]]
    mean = (5 * curves[0][1:-1].mean() + 2 * curves[1][1:-1].mean()) / 7
    place = (local % DAY) / 3600
    place = (place - np.interp(local, _noons(local), shifts)) % 24
    weekly = [np.interp(place, hours, curve / mean) for curve in curves]
    free, level = _days(habits, local)
    level = np.interp(local, _noons(local), level) if habits.shape == "rural" else level[day]
    season = 1 + SEASONS[habits.shape] * np.cos(2 * np.pi * (local / DAY - 215) / 365.25)
    growth = 1 + habits.trend * (at - at[0]) / (365 * DAY)
    found: Floats = np.where(free[day], weekly[1], weekly[0]) * level * season * growth * (1 + heat)
    return found


def draws(rng: np.random.Generator, demand: Floats, grain: float) -> Floats:
    """Demand as the sum of single draws: Poisson rectangular pulses (Rodríguez-Iturbe; Buchberger and Wu, 1995).

    Variance grows like the mean. `grain`: standard deviation at demand 1, of a minute.
    """
    total = np.zeros(len(demand))
    shares = np.array((0.30, 0.30, 0.25, 0.15))
    for minutes, share in zip(PULSES, shares, strict=True):
        height = grain**2
        begun = rng.poisson(np.maximum(demand, 0.0) * share / (height * minutes)).astype(np.float64)
        running = np.cumsum(begun)
        running[minutes:] -= running[:-minutes].copy()
        total += height * running
    return total


def wandering(rng: np.random.Generator, minutes: int, hourly: float, daily: float) -> Floats:
    """Slow ups and downs of the demand around 0: autoregressive over about five hours and three days."""
    hours = minutes // 60 + 2
    fast = _autoregressive(rng, hours, np.exp(-1 / 5)) * hourly
    slow = _autoregressive(rng, hours // 24 + 2, np.exp(-1 / 3)) * daily
    at = np.arange(minutes)
    found: Floats = np.interp(at, np.arange(hours) * 60, fast) + np.interp(at, np.arange(len(slow)) * 1440, slow)
    return found


def temperature(rng: np.random.Generator, at: Ints) -> Floats:
    """Daily mean temperature in °C at each minute: season and weather."""
    local = (at + LOCAL) / DAY
    days = int(local[-1] - local[0]) + 3
    weather = 3.2 * _autoregressive(rng, days, np.exp(-1 / 4))
    found: Floats = (
        12.5 - 13.5 * np.cos(2 * np.pi * (local - 20) / 365.25) + np.interp(local - local[0], np.arange(days), weather)
    )
    return found


def holiday_spans(first: int, last: int) -> list[tuple[int, int, str]]:
    """(start, stop, kind) in epoch seconds of runs of public holidays that touch [first, last)."""
    years = range(_date(first + LOCAL).year, _date(last + LOCAL).year + 1)
    days = sorted((day, kind) for year in years for day, kind in holidays(year).items())
    spans: list[tuple[int, int, str]] = []
    for day, kind in days:
        start = (day - date(1970, 1, 1)).days * DAY - LOCAL
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], start + DAY, max(kind, spans[-1][2], key=("public", "seollal", "chuseok").index))
        else:
            spans.append((start, start + DAY, kind))
    return [span for span in spans if span[0] < last and span[1] > first]


def _days(habits: Habits, local: Ints) -> tuple[np.ndarray, Floats]:
    """Of each local day: whether it is free, and its level against others of its kind."""
    first, last = _date(int(local[0])), _date(int(local[-1]))
    known = {day: kind for year in range(first.year, last.year + 1) for day, kind in holidays(year).items()}
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    free = np.array([day.weekday() >= 5 or day in known for day in days])
    level = np.array([habits.away if known.get(day, "public") != "public" else 1.0 for day in days])
    return free, level


def _noons(local: Ints) -> Ints:
    first, last = int(local[0]) // DAY, int(local[-1]) // DAY
    found: Ints = np.arange(first, last + 1, dtype=np.int64) * DAY + DAY // 2
    return found


def _date(local: int) -> date:
    return date(1970, 1, 1) + timedelta(days=local // DAY)


def _autoregressive(rng: np.random.Generator, length: int, memory: float) -> Floats:
    """Standard normal numbers that remember: AR(1)."""
    noise = rng.standard_normal(length)
    found = np.empty(length)
    now, fresh = noise[0], float(np.sqrt(1 - memory**2))
    for place, value in enumerate(noise.tolist()):
        now = memory * now + fresh * value if place else value
        found[place] = now
    return found
