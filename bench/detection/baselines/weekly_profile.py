"""Residuals of an hour-of-week profile in an EWMA (Roberts, 1959) and a CUSUM (Page, 1954)."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import (
    ObservedRecord,
    group_alarms,
    limit_for_rate,
    meter_alarms,
    slots_of_week,
    ten_minute_means,
    weekly_profile,
)
from bench.detection.scoring import Alarm
from shared.domain.series import HOUR, Floats, Ints

EWMA_WEIGHT = 0.2
CUSUM_SLACK = 0.75
LEVEL_DAYS = 14
"""Days whose median residual is the present level of the season."""
CUSUM_CAP = 2.0
"""Maximum of a CUSUM as a ratio to its limit, so that it falls soon after the end of an event."""


def alarms(record: ObservedRecord) -> list[Alarm]:
    """Return the alarms of a record."""
    alarms_ = meter_alarms(record)
    at, learned = record.at[::10][: len(record.at) // 10], record.learning_minutes // 10
    slots = slots_of_week(at)
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        means = ten_minute_means(values)
        median, std = weekly_profile(means[:learned], slots[:learned])
        alarms_ += residual_alarms(at, (means - median[slots]) / std[slots], learned, channel)
    return alarms_


def residual_alarms(at: Ints, residual: Floats, learned: int, channel: str) -> list[Alarm]:
    """Return the alarms of standardised ten-minute residuals; limits are fitted to the first `learned` of them."""
    residual = np.clip(remove_level(residual), -8, 8)
    ewma = exponential_average(residual)
    limit = limit_for_rate(np.abs(ewma[:learned]), at[:learned])
    up = "burst" if channel == "flow_rate" else "step"
    alarms = group_alarms(at, ewma > limit, up, channel, 2 * HOUR)
    alarms += group_alarms(at, ewma < -limit, "step", channel, 2 * HOUR)
    if channel == "flow_rate":
        height = limit_for_rate(cusum(residual[:learned], np.inf), at[:learned])
        alarms += group_alarms(at, cusum(residual, CUSUM_CAP * height) > height, "leak", channel, 6 * HOUR)
    return alarms


def remove_level(residual: Floats) -> Floats:
    """Subtract the median of the two weeks before the last two days: it removes the season and keeps a new leak."""
    days = residual[: len(residual) // 144 * 144].reshape(-1, 144)
    levelled = np.full(len(residual), np.nan)
    for day in range(len(days)):
        previous = days[max(0, day - LEVEL_DAYS - 2) : max(1, day - 2)]
        level = np.nanmedian(previous) if not np.isnan(previous).all() else 0.0
        levelled[day * 144 : (day + 1) * 144] = days[day] - level
    return levelled


def exponential_average(residual: Floats) -> Floats:
    """Return the exponentially weighted mean; unknown values leave it unchanged."""
    averages = np.empty(len(residual))
    average = 0.0
    for index, value in enumerate(residual.tolist()):
        if value == value:
            average += EWMA_WEIGHT * (value - average)
        averages[index] = average
    return averages


def cusum(residual: Floats, cap: float) -> Floats:
    """Return the sum of what exceeds the slack, from 0 to `cap`; unknown values leave it unchanged."""
    sums = np.empty(len(residual))
    total = 0.0
    for index, value in enumerate(residual.tolist()):
        if value == value:
            total = min(max(0.0, total + value - CUSUM_SLACK), cap)
        sums[index] = total
    return sums
