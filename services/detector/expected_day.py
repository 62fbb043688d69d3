"""Expected values of the day ahead: profile of the day type, weekday effect, and level of the last days.

After a change of the pressure setting, only the days since the change are used for the pressure.
"""

from __future__ import annotations

import numpy as np

from services.detector.change_point import last_change_point
from services.detector.day_history import (
    MINUTES_PER_DAY,
    DayHistory,
    Float32s,
    Mask,
    interpolate_to_minutes,
    types_of_weekdays,
)
from shared.contract.messages import CHANNELS
from shared.domain.nan_quantiles import median, median_and_mad_std
from shared.domain.series import Floats, Ints

LOOKBACK_DAYS = 42
"""Days that the profile is fitted to."""
LEVEL_DAYS = 7
"""Days that the level is taken from, without those with an anomaly; their median follows the season."""
LEVEL_CARRYOVER = 0.9
"""Share of the recent level that is expected to continue."""
MIN_WEEKS = 3
"""Weeks of a weekday below which their spread is not estimated."""
WEEKDAY_SHRINKAGE = 4.0
"""Prior weight, in weeks, of a weekday having no effect of its own."""
MIN_SQUARE = 1e-12
SLOTS_PER_DAY = 144
PRESSURE_ROW = CHANNELS.index("pressure")


def expected_day(history: DayHistory, ordinal: int) -> Float32s:
    """Return (2, 1440) expected values of a day from the days before it; NaN where nothing is known."""
    days = history.days_before(ordinal, LOOKBACK_DAYS)
    anomalous = history.anomalous_days(ordinal * MINUTES_PER_DAY)
    anomaly_free = np.array([day.ordinal not in anomalous for day in days[-LEVEL_DAYS:]])
    if not days:
        return np.full((2, MINUTES_PER_DAY), np.nan, dtype=np.float32)
    weekdays, weekday = np.array([history.weekday(day.ordinal) for day in days]), history.weekday(ordinal)
    ten_minute_means = np.array([day.ten_minute_means for day in days])
    change = last_change_point(ten_minute_means[:, PRESSURE_ROW], types_of_weekdays(weekdays))
    flow = _expected_ten_minute_means(ten_minute_means[:, 0], weekdays, weekday, anomaly_free)
    pressure = _expected_ten_minute_means(
        ten_minute_means[change:, PRESSURE_ROW], weekdays[change:], weekday, anomaly_free[change - len(days) :]
    )
    return np.stack([interpolate_to_minutes(flow), interpolate_to_minutes(pressure)]).astype(np.float32)


def _expected_ten_minute_means(ten_minute_means: Floats, weekdays: Ints, weekday: int, anomaly_free: Mask) -> Floats:
    """Return (144,) expected values from (n, 144) ten-minute means of the days before, oldest first.

    anomaly_free: (LEVEL_DAYS,) mask of the last days.
    """
    if np.isnan(ten_minute_means).all():
        return np.full(SLOTS_PER_DAY, np.nan)
    anomaly_free = (
        anomaly_free if 2 * anomaly_free.sum() >= len(anomaly_free) else np.ones(len(anomaly_free), dtype=np.bool_)
    )
    day_types = types_of_weekdays(weekdays)
    overall = median(ten_minute_means)
    profiles = np.array([_day_type_profile(ten_minute_means[day_types == day_type], overall) for day_type in range(3)])
    residuals = ten_minute_means - profiles[day_types]
    weekday_effect = _weekday_effect(residuals[weekdays == weekday])
    level = LEVEL_CARRYOVER * np.nan_to_num(
        circular_moving_average(median(residuals[-len(anomaly_free) :][anomaly_free]), 12)
    )
    expected: Floats = profiles[types_of_weekdays(np.array([weekday]))[0]] + level + weekday_effect
    return expected


def _day_type_profile(ten_minute_means: Floats, overall: Floats) -> Floats:
    """Return the median day of one day type; with fewer than three such days it leans on the median of all days."""
    weight = min(len(ten_minute_means), 3) / 3
    profile = median(ten_minute_means)
    return np.where(np.isnan(profile), overall, weight * profile + (1 - weight) * overall)


def _weekday_effect(residuals: Floats) -> Floats:
    """Return (144,) effect of a weekday from (n, 144) residuals, shrunk by how much its weeks differ.

    Shrinkage with the positive part of 1 - variance / square (James and Stein, 1961).
    """
    weeks = len(residuals)
    if weeks < MIN_WEEKS:
        return weeks / (weeks + WEEKDAY_SHRINKAGE) * np.nan_to_num(circular_moving_average(median(residuals), 3))
    smoothed = np.array([circular_moving_average(week, 3) for week in residuals])
    effect, std = map(np.nan_to_num, median_and_mad_std(smoothed))
    variance = np.pi / 2 * std**2 / weeks
    share: Floats = np.clip(1 - WEEKDAY_SHRINKAGE * variance / np.maximum(effect**2, MIN_SQUARE), 0.0, 1.0)
    return share * effect


def circular_moving_average(curve: Floats, half_width: int) -> Floats:
    """Average a day over 2 half_width + 1 slots, across midnight too; NaN counts as absent."""
    is_known = ~np.isnan(curve)
    kernel = np.ones(2 * half_width + 1)
    total: Floats = np.convolve(_wrap_around(np.where(is_known, curve, 0.0), half_width), kernel, mode="valid")
    weight = np.convolve(_wrap_around(is_known.astype(float), half_width), kernel, mode="valid")
    return np.where(weight > 0, total / np.maximum(weight, 1.0), np.nan)


def _wrap_around(curve: Floats, half_width: int) -> Floats:
    return np.concatenate([curve[-half_width:], curve, curve[:half_width]])
