"""Pressure expected at the present flow: a burst changes it at once.

Head loss grows with flow (Hazen and Williams, 1905; a parabola is close enough), so the flow of the same minute
explains most of what demand does to the pressure. The residual does not depend on the time of day, heat or holidays. A
burst takes more head than the same flow as demand when it is near the gauge, and less when it is far away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from services.detector.day_history import (
    MINUTES_PER_DAY,
    Day,
    Float32s,
    Mask,
    TrainingDays,
    average_to_ten_minutes,
    interpolate_to_minutes,
)
from services.detector.methods.standardise import (
    MIN_SCORE,
    Parameters,
    StandardisedMeans,
    round_significant,
    standardise,
)
from services.detector.methods.window_scores import WindowScores
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats

MIN_DAYS = 14
"""Minimum days that the curve is fitted to."""
LEVEL_DAYS = 7
"""Days before, whose median is the level: a new valve setting moves it for good."""
LAG_SLOTS = 3
"""Ten-minute slots between differenced means: tanks and supply change more slowly than demand."""
OUTLIER_STD, FIT_ROUNDS = 2.5, 5
"""Standard deviations beyond which a difference is left out of the next fit, and number of fits."""
RIDGE_SHARE = 1e-6
SHARE_WITHIN_ONE_STD = 0.6827
"""Share of normal values within one standard deviation."""
KEY_PREFIX = "head_"
MAX_SLOPE_RATIO = 3.0
"""Maximum head loss of a burst, as a ratio to the same flow as demand; a typical burst takes 0.1 to 2 times as much."""

Profiles = dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class HeadLossCurve:
    """Pressure (bar) from flow (m³/h) and the time of day, up to a slowly changing level."""

    coefficients: tuple[float, float]
    """bar per m³/h, and per its square."""
    time_profile: tuple[float, ...]
    """(144,) bar; a valve may have another setting at night."""

    @cached_property
    def profile_by_minute(self) -> Floats:
        """(1440,) time profile, bar."""
        return interpolate_to_minutes(np.array(self.time_profile))

    def residual(self, flow: Floats | Float32s, pressure: Floats | Float32s) -> Floats:
        """Return (…, 1440) pressure minus what flow and time of day explain, level included, bar."""
        linear, quadratic = self.coefficients
        unexplained: Floats = pressure - (linear + quadratic * flow) * flow - self.profile_by_minute
        return unexplained


def fit(
    flow_days: TrainingDays, pressure_days: TrainingDays, reference: Mask, windows: tuple[int, ...]
) -> tuple[StandardisedMeans, Profiles] | None:
    """Fit the curve; return the standardised residuals and the profiles for `FlowPressureResidual`.

    Returns None before MIN_DAYS reference days are known.
    """
    days = reference & pressure_days.has_enough_data
    if (
        np.count_nonzero(days) < MIN_DAYS
        or not np.nanstd(flow_days.values[days])
        or not np.nanstd(pressure_days.values[days])
    ):
        return None
    coefficients = _fit_coefficients(flow_days.values[days], pressure_days.values[days])
    ten_minute_residuals = average_to_ten_minutes(
        HeadLossCurve(coefficients, (0.0,) * 144).residual(flow_days.values[days], pressure_days.values[days])
    )
    time_profile = np.nan_to_num(median(ten_minute_residuals - _daily_medians(ten_minute_residuals)[:, None]))
    relation = HeadLossCurve(coefficients, tuple(round_significant(float(value)) for value in time_profile))
    residual = relation.residual(flow_days.values, pressure_days.values)
    daily = _daily_medians(residual)
    level = np.array([_median_level(daily[max(0, day - LEVEL_DAYS) : max(1, day)]) for day in range(len(daily))])
    residual -= level[:, None]
    if not np.nanmax(np.abs(residual[days])) > 0.0:
        return None
    means = standardise(residual, days, windows, full_carryover=True)
    curves = {"fit": relation.coefficients, "shape": relation.time_profile} | means.profiles
    return means, {f"{KEY_PREFIX}{name}": curve for name, curve in curves.items()}


def max_plausible_score(curves: Profiles, window: int) -> tuple[float, ...]:
    """Return (24,) maximum plausible pressure score by hour, per unit of flow score and per bar/(m³/h) of slope."""
    columns = (
        curves[name] for name in (f"spread_{window}", "scale", f"{KEY_PREFIX}spread_{window}", f"{KEY_PREFIX}scale")
    )
    return tuple(
        MAX_SLOPE_RATIO * flow_std * flow_scale / (pressure_std * pressure_scale)
        for flow_std, flow_scale, pressure_std, pressure_scale in zip(*columns, strict=True)
    )


def head_loss_slope(curves: Profiles, flow: Floats, window: int) -> Floats:
    """Return the slope of the head loss, bar per m³/h, at (…, 1440) flows: means over the last `window` minutes."""
    linear, quadratic = curves[f"{KEY_PREFIX}fit"]
    slope = np.abs(linear + 2.0 * quadratic * flow)
    sums = np.cumsum(np.concatenate([slope[..., -window:], slope], axis=-1), axis=-1)
    slopes: Floats = (sums[..., window:] - sums[..., :-window]) / window
    return slopes


def _fit_coefficients(flow: Floats, pressure: Floats) -> tuple[float, float]:
    """Fit differences within half an hour by least squares, without outliers."""
    known_flow = np.where(np.isnan(pressure), np.nan, flow)
    means = np.stack(
        [
            average_to_ten_minutes(values)
            for values in (known_flow, known_flow * known_flow, np.where(np.isnan(flow), np.nan, pressure))
        ]
    )
    differences = (means[:, :, LAG_SLOTS:] - means[:, :, :-LAG_SLOTS]).reshape(3, -1)
    differences = differences[:, ~np.isnan(differences).any(axis=0)]
    if differences.shape[1] < MINUTES_PER_DAY // 10:
        return 0.0, 0.0
    scale = np.sqrt(np.mean(np.square(differences[:2]), axis=1)) + np.finfo(float).tiny
    predictors, target = differences[:2] / scale[:, None], differences[2]
    is_inlier = np.ones(len(target), dtype=np.bool_)
    weights = np.zeros(2)
    for _ in range(FIT_ROUNDS):
        square = predictors[:, is_inlier] @ predictors[:, is_inlier].T
        ridge = RIDGE_SHARE * float(np.trace(square)) + np.finfo(float).tiny
        weights = np.linalg.solve(square + ridge * np.eye(2), predictors[:, is_inlier] @ target[is_inlier])
        residuals = np.abs(target - weights @ predictors)
        is_inlier = residuals <= OUTLIER_STD * np.quantile(residuals, SHARE_WITHIN_ONE_STD)
    linear, quadratic = (round_significant(float(values)) for values in weights / scale)
    return linear, quadratic


def _daily_medians(residual: Floats) -> Floats:
    """Return (n,) median of each day; NaN for a day without values."""
    return median(residual.T)


def _median_level(daily: Floats) -> float:
    """Return the median of the daily levels; NaN when none is known."""
    return float(median(daily[:, None])[0])


class FlowPressureResidual:
    """Running flow-pressure residual of one sensor."""

    def __init__(self, windows: tuple[int, ...], parameters: Parameters) -> None:
        self._profiles = parameters.profiles
        curves = {
            name.removeprefix(KEY_PREFIX): curve
            for name, curve in self._profiles.items()
            if name.startswith(KEY_PREFIX)
        }
        linear, quadratic = curves["fit"]
        self._curve = HeadLossCurve((linear, quadratic), curves["shape"])
        limits = {f"{side}_{window}": 1.0 for side in ("up", "down") for window in windows}
        self.window_scores = WindowScores(windows, Parameters(limits | {"limit": 1.0}, curves))
        self._max_scores = list(zip(*(max_plausible_score(self._profiles, window) for window in windows), strict=True))
        self._slopes: list[tuple[float, ...]] = []
        self._expected: list[float] = []
        """(1440,) expected pressure at no flow, bar; empty when no level is known."""
        self._current_max_scores: tuple[float, ...] = ()
        self._current_slopes: tuple[float, ...] = ()

    def start_day(self, ordinal: int, week: list[Day], expected_flow: Floats) -> None:
        """Start a day with the days of the week before it, and its 1440 expected flows."""
        residuals = (
            self._curve.residual(*np.stack([day.values for day in week], axis=1))
            if week
            else np.empty((0, MINUTES_PER_DAY))
        )
        level = _median_level(_daily_medians(residuals))
        self._expected = (level + self._curve.profile_by_minute).tolist() if level == level else []
        slopes = [
            head_loss_slope(self._profiles, expected_flow, window).tolist() for window in self.window_scores.windows
        ]
        self._slopes = list(zip(*slopes, strict=True))
        unknown = np.full(MINUTES_PER_DAY, np.nan)
        by_ordinal = dict(zip((day.ordinal for day in week), residuals, strict=True))
        before = np.concatenate([by_ordinal.get(ordinal - ago, unknown) for ago in (2, 1)])
        self.window_scores.start_day(before - level)

    def update(self, minute: int, flow: float, pressure: float) -> bool:
        """Process a minute, NaN where a value is unknown; return whether it can be evaluated."""
        if not self._expected or flow != flow or pressure != pressure:
            self.window_scores.skip(1)
            return False
        linear, quadratic = self._curve.coefficients
        hour = minute // 60
        self.window_scores.push(pressure - (linear + quadratic * flow) * flow - self._expected[minute], hour)
        self._current_max_scores, self._current_slopes = self._max_scores[hour], self._slopes[minute]
        return True

    def plausible_score(self, index: int, flow_score: float) -> float:
        """Return the absolute score of a window; 0 where it exceeds what the flow, with this score, can cause."""
        score = abs(self.window_scores.score_at(index))
        return score if score < self._current_max_scores[index] * self._current_slopes[index] * flow_score else 0.0

    def moved_independently(self, flow_scores: list[float]) -> bool:
        """Whether pressure has moved in some window by more than the flow can cause."""
        return any(
            abs(self.window_scores.score_at(index)) > MIN_SCORE and not self.plausible_score(index, score)
            for index, score in enumerate(flow_scores)
        )
