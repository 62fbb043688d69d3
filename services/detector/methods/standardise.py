"""Moving means of several lengths, standardised by hour of the day.

One window length per kind of event, as in the multi-scale (MOSUM) tests for a shift of the mean: Eichinger and Kirch
(2018), doi:10.3150/16-BEJ887. The score is the largest ratio of a window to its limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.detector.day_history import MIN_VALUES_PER_DAY, Mask, TrainingDays
from services.detector.threshold import threshold_for_rate
from shared.domain.nan_quantiles import quantile
from shared.domain.series import Floats

CLIP_STD = 10.0
"""Standard deviations at which a minute is clipped, so that a single wild minute is no burst."""
MIN_COMBINED_LIMIT = 0.5
"""Minimum limit of the largest ratio over all windows."""
MIN_SCORE = 3.0
"""Minimum limit of a window, in standard deviations."""
LEVEL_WINDOW_MINUTES = (60, 360, 1440)
"""Minutes before a window whose means predict the level in the window."""
REGRESSION_STRIDE_MINUTES, RIDGE_SHARE = 7, 0.01
SMALL_SAMPLE_DAYS, SMALL_SAMPLE_REFERENCE_DAYS, SMALL_SAMPLE_POWER = 12.0, 77.0, 0.6
"""Days and power of the small-sample factor: 4 after one day, 1.5 after ten, 1.06 after six weeks, 1 after 77 days."""
Z_80 = 1.2816
"""80 % quantile of the absolute value of a standard normal variable."""


@dataclass(frozen=True)
class Parameters:
    """Parameters of a method: limits by name, and profiles (curves) by name."""

    limits: dict[str, float]
    profiles: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class DayMask:
    """Which of n days have enough data, and which of these are reference days."""

    has_enough_data: Mask
    reference: Mask


def small_sample_factor(days: int) -> float:
    """Return the factor by which limits are wider while few days are known: other weekdays and seasons are missing."""
    return float(
        ((1.0 + SMALL_SAMPLE_DAYS / max(days, 1)) / (1.0 + SMALL_SAMPLE_DAYS / SMALL_SAMPLE_REFERENCE_DAYS))
        ** SMALL_SAMPLE_POWER
    )


def usable_days(days: TrainingDays, residuals: Floats) -> DayMask | None:
    """Return the days with residuals to fit to; None when there are none, or nothing varied."""
    has_residuals = np.count_nonzero(~np.isnan(residuals), axis=1) >= MIN_VALUES_PER_DAY
    reference = days.reference & has_residuals
    if not reference.any() or not np.nanmax(np.abs(residuals[reference])) > 0:
        return None
    return DayMask(days.has_enough_data & has_residuals, reference)


class MovingMeans:
    """Means of the last minutes, and of those before them, at each minute of (n, 1440) consecutive days."""

    def __init__(self, values: Floats) -> None:
        self._shape = values.shape
        self._sums = np.cumsum(values.ravel())

    def means(self, window: int) -> Floats:
        """Return (n, 1440) means of the last minutes; before the first day counts as 0."""
        return self._means_ago(0, window)

    def levels(self, window: int) -> Floats:
        """Return (levels, n, 1440) means of the hour, six hours and day before a window of so many minutes."""
        return np.stack([self._means_ago(window, span) for span in LEVEL_WINDOW_MINUTES])

    def _means_ago(self, ago: int, span: int) -> Floats:
        means = np.zeros(self._sums.size)
        means[ago:] = self._sums[: -ago or None]
        means[ago + span :] -= self._sums[: -ago - span]
        means /= span
        return means.reshape(self._shape)


@dataclass(frozen=True)
class StandardisedMeans:
    """Standardised moving means, each (n, 1440), and the profiles used for them."""

    profiles: dict[str, tuple[float, ...]]
    scores_by_window: dict[int, Floats]
    moving: MovingMeans
    """Of the scaled residuals, clipped, with 0 for gaps."""
    expected: dict[int, Floats]
    """Expected mean of each window, from the levels before it."""


def standardise(
    residuals: Floats, reference: Mask, windows: tuple[int, ...], full_carryover: bool = False
) -> StandardisedMeans:
    """Standardise moving means of (n, 1440) residuals against the level before them, by hour of the day.

    Residuals are first divided by their scale at that hour, so that a quiet night counts more than a busy morning. NaN
    counts as 0. full_carryover: the shares of the levels add up to one, for residuals without a fixed mean.
    """
    scale = np.array(_round_all(robust_std_by_hour(_ten_minute_blocks(residuals), reference, np.nan)))
    scaled = residuals / np.repeat(scale, 60)
    minute_std = np.array(_round_all(robust_std_by_hour(scaled, reference, np.nan)))
    clipped = np.nan_to_num(np.clip(scaled, *(sign * CLIP_STD * np.repeat(minute_std, 60) for sign in (-1, 1))))
    moving, scores, expected = MovingMeans(clipped), {}, {}
    profiles = {"scale": _round_all(scale), "single": _round_all(minute_std)}
    for window in windows:
        means, before = moving.means(window), moving.levels(window)
        profiles[f"level_{window}"] = carryover = (_fit_full_carryover if full_carryover else _fit_carryover)(
            means[reference], before[:, reference]
        )
        expected[window] = np.tensordot(np.array(carryover), before, 1)
        excess = means - expected[window]
        std = robust_std_by_hour(excess, reference, float(minute_std.mean()) / window)
        profiles[f"spread_{window}"] = _round_all(std)
        scores[window] = excess / np.repeat(np.array(profiles[f"spread_{window}"]), 60)
    return StandardisedMeans(profiles, scores, moving, expected)


def _ten_minute_blocks(residuals: Floats) -> Floats:
    """Return (n, 1440) ten-minute means, repeated for each minute; NaN where no minute is known."""
    blocks = residuals.reshape(len(residuals), -1, 10)
    is_known = ~np.isnan(blocks)
    means = np.where(is_known, blocks, 0.0).sum(axis=2) / np.maximum(is_known.sum(axis=2), 1)
    return np.repeat(np.where(is_known.any(axis=2), means, np.nan), 10, axis=1)


def _fit_carryover(means: Floats, before: Floats) -> tuple[float, ...]:
    """Fit the share of each level that continues in a window (least squares, outliers clipped)."""
    target = means.ravel()[::REGRESSION_STRIDE_MINUTES]
    predictors = before.reshape(len(before), -1)[:, ::REGRESSION_STRIDE_MINUTES]
    rows = np.vstack([target, predictors])
    clip = 4.0 * np.quantile(np.abs(rows), 0.8, axis=1, keepdims=True) / Z_80
    rows = np.clip(rows, -clip, clip)
    square = rows[1:] @ rows[1:].T
    ridge = RIDGE_SHARE * float(np.trace(square)) / len(before)
    if not ridge:
        return (0.0,) * len(before)
    return _round_all(np.linalg.solve(square + ridge * np.eye(len(before)), rows[1:] @ rows[0]))


def _fit_full_carryover(means: Floats, before: Floats) -> tuple[float, ...]:
    """Fit shares that add up to one: the day's level gets the remainder."""
    shares = _fit_carryover(means - before[-1], before[:-1] - before[-1])
    return (*shares, round_significant(1.0 - sum(shares)))


def robust_std_by_hour(means: Floats, reference: Mask, floor: float) -> Floats:
    """Return (24,) robust standard deviation by hour of the day, from the 80 % quantile, smoothed over hours."""
    hours = np.abs(means[reference]).reshape(-1, 24, 60).transpose(1, 0, 2).reshape(24, -1)
    if (unknown := np.isnan(hours).all(axis=1)).any():
        hours[unknown] = quantile(hours.reshape(-1, 1), 0.8)
    std = quantile(hours.T, 0.8) / Z_80
    neighbour_max = np.stack([np.roll(std, -1), std, np.roll(std, 1)]).max(axis=0)
    std = 0.5 * (std + neighbour_max)
    overall = float(np.sqrt(np.nanmean(np.square(np.clip(hours, 0, 5 * np.nanmax(std))))))
    widened: Floats = np.maximum(std, np.nanmax([0.2 * float(np.nanmedian(std)), 0.05 * overall, floor]))
    return widened


def daily_maxima(scores: Floats, days: DayMask) -> Floats:
    """Return (n,) daily maxima; infinite for days with an anomaly, NaN where unknown."""
    return np.where(days.has_enough_data, np.where(days.reference, scores.max(axis=1), np.inf), np.nan)


def fit_two_sided_limits(
    means: StandardisedMeans, days: DayMask, up: float, down: float, budget: dict[int, float]
) -> dict[str, float]:
    """Fit the limit of each window and side; up, down: false alarms per day of a side; budget: share of each window."""
    limits = {}
    for window, scores in means.scores_by_window.items():
        for side, sign, rate in (("up", 1, up), ("down", -1, down)):
            limit = threshold_for_rate(daily_maxima(sign * scores, days), rate * budget[window])
            limits[f"{side}_{window}"] = round_significant(max(limit, MIN_SCORE))
    return limits


def max_limit_ratio(means: StandardisedMeans, limits: dict[str, float]) -> Floats:
    """Return (n, 1440) largest ratio of a score to its limit."""
    sides = [
        np.maximum(scores / limits[f"up_{window}"], -scores / limits[f"down_{window}"])
        for window, scores in means.scores_by_window.items()
    ]
    max_ratio: Floats = np.array(sides).max(axis=0)
    return max_ratio


def _round_all(values: Floats) -> tuple[float, ...]:
    return tuple(round_significant(float(value)) for value in values)


def round_significant(value: float) -> float:
    """Round to six significant digits, as stored in the criteria."""
    return float(f"{value:.6g}")
