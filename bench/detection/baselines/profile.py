"""Residuals of an hour-of-week profile in an EWMA (Roberts, 1959) and a CUSUM (Page, 1954)."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import (
    Shown,
    alarms_of,
    limit_for,
    means,
    meter_alarms,
    profile,
    slots_of_week,
)
from bench.detection.scoring import Alarm
from shared.domain.series import HOUR, Floats, Ints

WEIGHT = 0.2
SLACK = 0.75
LEVEL_DAYS = 14
"""Days whose median residual is taken for the present level of the season."""
HIGHEST = 2.0
"""A CUSUM goes no higher than so many times its limit, so that it comes down when what it shows is over."""


def alarms(record: Shown) -> list[Alarm]:
    """Alarms of a record."""
    found = meter_alarms(record)
    at, learned = record.at[::10][: len(record.at) // 10], record.learned // 10
    slots = slots_of_week(at)
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        tens = means(values)
        middle, spread = profile(tens[:learned], slots[:learned])
        found += residual_alarms(at, (tens - middle[slots]) / spread[slots], learned, channel)
    return found


def residual_alarms(at: Ints, residual: Floats, learned: int, channel: str) -> list[Alarm]:
    """Alarms of standardized residuals of ten minutes, limits from the first `learned`."""
    residual = np.clip(levelled(residual), -8, 8)
    ewma = smoothed(residual)
    limit = limit_for(np.abs(ewma[:learned]), at[:learned])
    up = "burst" if channel == "flow_rate" else "step"
    found = alarms_of(at, ewma > limit, up, channel, 2 * HOUR)
    found += alarms_of(at, ewma < -limit, "step", channel, 2 * HOUR)
    if channel == "flow_rate":
        height = limit_for(cusum(residual[:learned], np.inf), at[:learned])
        found += alarms_of(at, cusum(residual, HIGHEST * height) > height, "leak", channel, 6 * HOUR)
    return found


def levelled(residual: Floats) -> Floats:
    """Residuals less the median of the two weeks before the last two days: the season goes, a fresh leak stays."""
    days = residual[: len(residual) // 144 * 144].reshape(-1, 144)
    found = np.full(len(residual), np.nan)
    for day in range(len(days)):
        past = days[max(0, day - LEVEL_DAYS - 2) : max(1, day - 2)]
        level = np.nanmedian(past) if not np.isnan(past).all() else 0.0
        found[day * 144 : (day + 1) * 144] = days[day] - level
    return found


def smoothed(residual: Floats) -> Floats:
    """Exponentially weighted mean; unknown values leave it as it is."""
    found = np.empty(len(residual))
    now = 0.0
    for place, value in enumerate(residual.tolist()):
        if value == value:
            now += WEIGHT * (value - now)
        found[place] = now
    return found


def cusum(residual: Floats, highest: float) -> Floats:
    """Sum of what goes beyond the slack, from 0 to `highest`; unknown values leave it as it is."""
    found = np.empty(len(residual))
    now = 0.0
    for place, value in enumerate(residual.tolist()):
        if value == value:
            now = min(max(0.0, now + value - SLACK), highest)
        found[place] = now
    return found
