"""Pressure against what it is at this flow: demand leaves it where it was; a burst or a new setting does not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from services.detector.memory import MINUTES, Day, Past, day_types, ten_minute_means
from services.detector.methods.head import LEVEL_DAYS, Head, learn
from services.detector.methods.spreads import Learned
from services.detector.methods.value import WINDOWS
from shared.domain.series import Floats

DAYS = 40
MEAN = 50.0
HOUR_PLACE = WINDOWS.index(60)
EMPTY = np.zeros((0, 0), dtype=np.float32)
FAR = 3.0
"""Spreads."""


def flows(days: int, seed: int = 1) -> Floats:
    """(days, 1440) demand whose days differ by a tenth and wander by as much within hours, m³/h."""
    rng = np.random.default_rng(seed)
    hours = np.arange(MINUTES) / 60
    shape = 1.0 - 0.6 * np.cos(2 * np.pi * (hours - 3) / 24)
    slow = np.repeat(rng.normal(0.0, 0.1, (days, 24)), 60, axis=1)
    return MEAN * shape * (1 + rng.normal(0.0, 0.1, (days, 1)) + slow) + rng.normal(0.0, 2.0, (days, MINUTES))


def pressures(flow: Floats, seed: int = 2) -> Floats:
    """bar: a lower setting at night, and what pipes take by Hazen and Williams."""
    hour = np.arange(MINUTES) // 60
    head = 5.0 - 0.8 * ((hour >= 23) | (hour < 6))
    noise = np.random.default_rng(seed).normal(0.0, 0.02, flow.shape)
    found: Floats = head - 0.5 * (np.maximum(flow, 0.0) / MEAN) ** 1.852 + noise
    return found


def past(values: Floats) -> Past:
    days = len(values)
    known = np.ones(days, dtype=np.bool_)
    none = np.full((days, 24, 3), np.nan)
    numbers = np.arange(1, days + 1)
    return Past(
        numbers,
        day_types((numbers - 1) % 7),
        values,
        np.zeros_like(values),
        none,
        ten_minute_means(values),
        known,
        known,
    )


@cache
def learned() -> Learned:
    flow = flows(DAYS)
    found = learn(past(flow), past(pressures(flow)), np.ones(DAYS, dtype=np.bool_), WINDOWS)
    assert found is not None
    # What `Head` asks of the flow's own curves.
    own = {"scale": (1.0,) * 24} | {f"spread_{window}": (1.0,) * 24 for window in WINDOWS}
    return Learned({}, found[1] | own)


def standing(flow: Floats, pressure: Floats) -> Floats:
    """(1440,) of the last of some days, over an hour."""
    days = [
        Day(number, np.stack([one, other]), EMPTY, EMPTY, np.zeros((2, 144)))
        for number, (one, other) in enumerate(
            zip(flow.astype(np.float32), pressure.astype(np.float32), strict=True), start=1
        )
    ]
    head = Head(WINDOWS, learned())
    head.open_day(len(days), days[-1 - LEVEL_DAYS : -1], np.full(MINUTES, MEAN))
    found = []
    for minute in range(MINUTES):
        head.take(minute, float(flow[-1, minute]), float(pressure[-1, minute]))
        found.append(head.scales.far(HOUR_PLACE))
    return np.array(found)


def test_demand_leaves_it_where_it_was() -> None:
    flow = flows(10, seed=3)
    flow[-1] *= 1.3  # far beyond what was seen, so the parabola must hold there, too
    assert np.abs(standing(flow, pressures(flow))).max() < 2 * FAR


@pytest.mark.parametrize(("near", "sign"), [(0.3, 1.0), (2.0, -1.0)])
def test_a_burst_of_a_twentieth_shows_within_half_an_hour(near: float, sign: float) -> None:
    flow = flows(10, seed=3)
    burst = np.zeros(MINUTES)
    burst[12 * 60 :] = 0.05 * MEAN
    felt = flow.copy()
    felt[-1] += near * burst
    pressure = pressures(felt)
    flow[-1] += burst
    far = sign * standing(flow, pressure)
    assert far[8 * 60 : 12 * 60].max() < FAR < far[12 * 60 + 30]


def test_a_new_setting_is_the_level_after_a_week_and_shows_within_the_day() -> None:
    flow = flows(20, seed=4)
    pressure = pressures(flow)
    pressure[9:] -= 0.4
    assert standing(flow[:10], pressure[:10])[30] < -FAR
    assert np.abs(standing(flow, pressure)).max() < 2 * FAR


def test_after_a_gap_it_goes_on() -> None:
    flow = flows(10, seed=5)
    pressure = pressures(flow)
    pressure[-1, 300:500] = np.nan
    pressure[5] = np.nan
    assert np.abs(standing(flow, pressure)).max() < 2 * FAR


def test_a_few_days_or_a_constant_tell_nothing() -> None:
    flow = flows(DAYS)
    few = np.arange(DAYS) < 10
    assert learn(past(flow), past(pressures(flow)), few, WINDOWS) is None
    assert learn(past(flow), past(np.full_like(flow, 4.0)), np.ones(DAYS, dtype=np.bool_), WINDOWS) is None
