"""Sensor drift: a meter whose daily level departs from the weeks before without the other meter.

The expected share of the other meter's level is subtracted, so what remains is the meter's own. Means over several
numbers of days, as in a multi-scale (MOSUM) test: Eichinger and Kirch (2018), doi:10.3150/16-BEJ887.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.day_history import Mask, TrainingDays
from services.detector.methods.standardise import Parameters, round_significant, small_sample_factor
from services.detector.threshold import threshold_for_rate
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

WINDOW_DAYS = (1, 2, 4)
"""Window lengths."""
BASELINE_DAYS = 14
MIN_BASELINE_DAYS = 7
"""Minimum days of a baseline."""
MIN_SHIFT_STD = 3.0
"""Minimum size of a shift, in standard deviations."""
MIN_SHIFT_SHARE = 0.07
"""Minimum size of a shift, as a share of the expected value."""
PERSISTENCE = 0.5
"""Share of a shift that the last day must show."""
KNOWN_AFTER_DAYS = (5, 7)
"""Days after which a shift of the same size is not new; weekends may deviate on their own."""
OUTLIER_SHARE = 0.6
"""Deviation from the expected value, as a share, above which a ten-minute mean is not used."""
RIDGE_SHARE = 0.02
MAX_RATE = 0.5
"""Maximum share of the days with a shift that may exceed the limit."""


def daily_levels(ten_minute_means: Floats, day_types: Ints) -> Floats:
    """Return (n,) deviation of each day from the median day of its type, as a share; NaN where unknown.

    ten_minute_means: (n, 144). A drifting meter deviates by the same share at all hours, and the median over the day
    ignores what lasts less than half a day.
    """
    deviations = np.full(ten_minute_means.shape, np.nan)
    for day_type in np.unique(day_types):
        expected = median(ten_minute_means[day_types == day_type])
        deviations[day_types == day_type] = (
            ten_minute_means[day_types == day_type] / np.where(expected > 0.0, expected, np.nan) - 1.0
        )
    deviations[np.abs(np.nan_to_num(deviations)) > OUTLIER_SHARE] = np.nan
    return np.where(
        2 * np.count_nonzero(~np.isnan(deviations), axis=1) >= ten_minute_means.shape[1], median(deviations.T), np.nan
    )


def level_shifts(levels: Floats) -> Floats:
    """Return (windows,) how far the last days are above the two weeks before; NaN where unknown.

    A shift of which the last day shows less than half has ended. One that was half as large KNOWN_AFTER_DAYS ago is
    known.
    """
    shifts = np.full(len(WINDOW_DAYS), np.nan)
    for index, count in enumerate(WINDOW_DAYS):
        last_days, before = levels[-count:], levels[-count - BASELINE_DAYS : -count]
        before = before[~np.isnan(before)]
        if len(before) >= MIN_BASELINE_DAYS and not np.isnan(last_days).any():
            baseline = np.median(before)
            mean, last = last_days.mean() - baseline, (last_days[-1] - baseline) / PERSISTENCE
            was_present = [
                np.sign(mean) * (levels[-1 - ago] - baseline) >= PERSISTENCE * abs(mean) for ago in KNOWN_AFTER_DAYS
            ]
            shifts[index] = 0.0 if any(was_present) else np.sign(mean) * min(abs(mean), max(np.sign(mean) * last, 0.0))
    return shifts


def fit(days: TrainingDays, other_days: TrainingDays, per_day: float) -> Parameters | None:
    """Fit the weight of the other meter's level and the limits for false alarms per day; None before enough days."""
    own_levels = daily_levels(days.ten_minute_means, days.day_types)
    other_levels = daily_levels(other_days.ten_minute_means, other_days.day_types)
    weight = _fit_weight(own_levels[days.reference], other_levels[days.reference])
    shifts = np.array(
        [own_shift(own_levels[:end], other_levels[:end], weight) for end in range(1, len(own_levels) + 1)]
    )
    limits = {}
    for count, column in zip(WINDOW_DAYS, np.abs(shifts).reshape(-1, len(WINDOW_DAYS)).T, strict=True):
        known_shifts = column[days.reference & ~np.isnan(column)]
        if len(known_shifts) >= MIN_BASELINE_DAYS:
            limit = max(
                _threshold(column, days.reference, per_day / len(WINDOW_DAYS)),
                MIN_SHIFT_STD * 1.4826 * float(np.median(known_shifts)),
                MIN_SHIFT_SHARE,
            )
            limits[f"days_{count}"] = round_significant(limit * small_sample_factor(int(days.reference.sum())))
    return Parameters(limits | {"weight": weight}, {}) if limits else None


def _threshold(sizes: Floats, reference: Mask, per_day: float) -> float:
    """Return the size that a reference day's shift exceeds with probability per_day; 0 when no reference day has one.

    Days without a shift only count for how rare shifts are.
    """
    known_sizes = sizes[reference & ~np.isnan(sizes)]
    moved_count = np.count_nonzero(known_sizes)
    if not moved_count:
        return 0.0
    candidates = np.where(reference | np.isnan(sizes), sizes, np.inf)
    return threshold_for_rate(
        np.where(sizes == 0.0, np.nan, candidates), min(per_day * len(known_sizes) / moved_count, MAX_RATE)
    )


def _fit_weight(own_levels: Floats, other_levels: Floats) -> float:
    """Regress one meter's levels on the other's (least squares, outliers clipped)."""
    is_known = ~np.isnan(own_levels) & ~np.isnan(other_levels)
    if np.count_nonzero(is_known) < 2 * MIN_BASELINE_DAYS:
        return 0.0
    rows = np.stack([own_levels[is_known], other_levels[is_known]])
    clip = 3.0 * 1.4826 * np.median(np.abs(rows), axis=1, keepdims=True)
    rows = np.clip(rows, -clip, clip)
    square = float(rows[1] @ rows[1]) * (1.0 + RIDGE_SHARE)
    return round_significant(float(rows[0] @ rows[1]) / square) if square else 0.0


def own_shift(own_levels: Floats, other_levels: Floats, weight: float) -> Floats:
    """Return (windows,) shifts of one meter's level, as far as they remain without the other's."""
    if not weight:
        return level_shifts(own_levels)
    shift, residual = level_shifts(own_levels), level_shifts(own_levels - weight * other_levels)
    return np.where(
        shift * residual > 0.0, np.sign(residual) * np.minimum(np.abs(shift), np.abs(residual)), 0.0 * residual
    )


@dataclass(frozen=True)
class SensorShift:
    """Shift of a meter's level, in the channel's unit, over the last minutes."""

    size: float
    minutes: int
    limit_ratio: float
    """Ratio to its limit."""


def attribute_to_one_meter(shifts: Sequence[SensorShift | None]) -> list[SensorShift | None]:
    """Keep only the meter with the larger ratio: its shift causes an opposite apparent shift of the other meter."""
    max_ratio = max((shift.limit_ratio for shift in shifts if shift), default=0.0)
    return [shift if shift and shift.limit_ratio == max_ratio else None for shift in shifts]


class SensorDriftDetector:
    """Running drift detection of one channel."""

    def __init__(self, parameters: Parameters | None) -> None:
        limits = parameters.limits if parameters else {}
        self._weight = limits.get("weight", 0.0)
        self._limits = np.array([limits.get(f"days_{count}", math.inf) for count in WINDOW_DAYS])

    def evaluate(self, own_levels: Floats, other_levels: Floats, ten_minute_means: Floats) -> SensorShift | None:
        """Return the shift at the end of the days with these `daily_levels`; None when it is within its limit.

        ten_minute_means: (n, 144) own means of these days.
        """
        if np.isinf(self._limits).all() or not len(own_levels):
            return None
        shifts = own_shift(own_levels, other_levels, self._weight)
        ratios = np.nan_to_num(np.abs(shifts) / self._limits)
        index = int(ratios.argmax())
        if ratios[index] < 1.0:
            return None
        return SensorShift(
            float(shifts[index]) * float(np.nanmedian(ten_minute_means)),
            WINDOW_DAYS[index] * 1440,
            float(ratios[index]),
        )
