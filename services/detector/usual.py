"""What is usual on the day ahead: shape of the day's type, its weekday's own habit, and the level of the last days.

A pressure that goes by another setting since some days is expected to go on so: days before tell nothing of it.
"""

from __future__ import annotations

import numpy as np

from services.detector.memory import MINUTES, Mask, Memory, Singles, day_types, minutes_of
from services.detector.regime import first_of_regime
from shared.contract.messages import CHANNELS
from shared.domain.nan_quantiles import median, median_and_mad_std
from shared.domain.series import Floats, Ints

LOOK_BACK = 42
"""Days that the shape is taken from."""
RECENT = 7
"""Days that the level is taken from, without those of an anomaly; the median follows the season."""
TRUST = 0.9
"""Share of the recent level that is expected to go on."""
FEW_WEEKS = 3
"""Of a weekday, which tell little of how they differ."""
DOUBT = 4.0
"""Weeks' worth of trust in that a weekday is like the others."""
TINY = 1e-12
SLOTS = 144
PRESSURE = CHANNELS.index("pressure")


def day_ahead(memory: Memory, number: int) -> Singles:
    """(2, 1440) expected values of a day from the days before it; NaN where nothing is known."""
    days = memory.before(number, LOOK_BACK)
    disturbed = memory.disturbed(number * MINUTES)
    calm = np.array([day.number not in disturbed for day in days[-RECENT:]])
    if not days:
        return np.full((2, MINUTES), np.nan, dtype=np.float32)
    weekdays, weekday = np.array([memory.weekday(day.number) for day in days]), memory.weekday(number)
    tens = np.array([day.tens for day in days])
    first = first_of_regime(tens[:, PRESSURE], day_types(weekdays))
    flow = _expected(tens[:, 0], weekdays, weekday, calm)
    pressure = _expected(tens[first:, PRESSURE], weekdays[first:], weekday, calm[first - len(days) :])
    return np.stack([minutes_of(flow), minutes_of(pressure)]).astype(np.float32)


def _expected(tens: Floats, weekdays: Ints, weekday: int, calm: Mask) -> Floats:
    """(144,) from (n, 144) ten-minute means of the days before, oldest first; calm: which of the last are clean."""
    if np.isnan(tens).all():
        return np.full(SLOTS, np.nan)
    calm = calm if 2 * calm.sum() >= len(calm) else np.ones(len(calm), dtype=np.bool_)
    types = day_types(weekdays)
    overall = median(tens)
    shapes = np.array([_shape(tens[types == kind], overall) for kind in range(3)])
    residuals = tens - shapes[types]
    habit = _habit(residuals[weekdays == weekday])
    level = TRUST * np.nan_to_num(smooth(median(residuals[-len(calm) :][calm]), 12))
    expected: Floats = shapes[day_types(np.array([weekday]))[0]] + level + habit
    return expected


def _shape(tens: Floats, overall: Floats) -> Floats:
    """Median day of one type; leans on all days while fewer than three are known."""
    weight = min(len(tens), 3) / 3
    own = median(tens)
    return np.where(np.isnan(own), overall, weight * own + (1 - weight) * overall)


def _habit(residuals: Floats) -> Floats:
    """(144,) what a weekday has of its own, from (n, 144): as much of it as stands out from how its weeks differ.

    Shrinkage with the positive part of 1 - variance / square (James and Stein, 1961).
    """
    weeks = len(residuals)
    if weeks < FEW_WEEKS:
        return weeks / (weeks + DOUBT) * np.nan_to_num(smooth(median(residuals), 3))
    smoothed = np.array([smooth(week, 3) for week in residuals])
    own, spread = map(np.nan_to_num, median_and_mad_std(smoothed))
    variance = np.pi / 2 * spread**2 / weeks
    part: Floats = np.clip(1 - DOUBT * variance / np.maximum(own**2, TINY), 0.0, 1.0)
    return part * own


def smooth(curve: Floats, reach: int) -> Floats:
    """Moving mean over 2 reach + 1 slots of a day, around midnight too; NaN counts as absent."""
    known = ~np.isnan(curve)
    kernel = np.ones(2 * reach + 1)
    total: Floats = np.convolve(_around(np.where(known, curve, 0.0), reach), kernel, mode="valid")
    weight = np.convolve(_around(known.astype(float), reach), kernel, mode="valid")
    return np.where(weight > 0, total / np.maximum(weight, 1.0), np.nan)


def _around(curve: Floats, reach: int) -> Floats:
    return np.concatenate([curve[-reach:], curve, curve[:reach]])
