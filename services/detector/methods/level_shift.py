"""Method value (실측값): readings against the expected value, over 10 minutes to 12 hours, and single spikes.

Higher flow with a pressure that is unusual at that flow (methods/flow_pressure.py) indicates a burst even where neither
score reaches its own limit: the two scores are combined as the sides of a right angle (Hotelling, 1931).
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from services.detector.day_history import MINUTES_PER_DAY, Day, TrainingDays
from services.detector.methods import flow_pressure as head
from services.detector.methods import spikes
from services.detector.methods.flow_pressure import FlowPressureResidual
from services.detector.methods.spikes import SpikeDetector
from services.detector.methods.standardise import (
    MIN_COMBINED_LIMIT,
    MIN_SCORE,
    Parameters,
    StandardisedMeans,
    daily_maxima,
    fit_two_sided_limits,
    max_limit_ratio,
    round_significant,
    small_sample_factor,
    standardise,
    usable_days,
)
from services.detector.methods.window_scores import WindowScores
from services.detector.threshold import threshold_for_rate
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

WINDOW_BUDGET = {10: 0.1, 30: 0.2, 60: 0.25, 180: 0.25, 720: 0.2}
"""Window length in minutes to its share of the false alarms; long windows find smaller shifts."""
WINDOW_MINUTES = tuple(WINDOW_BUDGET)
HOUR_MINUTES = 60
HOUR_INDEX = WINDOW_MINUTES.index(HOUR_MINUTES)
PERSISTENCE = 0.5
"""Standard deviations that the last hour must exceed for a longer window to count.

Also the share of an open alarm's shift that must persist.
"""
SAME_SIZE = 0.6
"""Share of an excess, in the channel's unit, that counts as the same size."""
MIN_FLOW_SCORE, MIN_PRESSURE_SCORE = 0.5, 1.0
"""Minimum scores of flow and of the flow-pressure residual to be combined."""
MIN_SHARE_OF_EXPECTED = 0.3
"""Minimum share of a step that must also be one against the expected day: the end of an excess is no step."""
SPIKE_BUDGET = 0.04
"""Share of the false alarms for spikes of single minutes: they come from the meter, not from the water."""
LIMIT_PREFIXES = ("up_", "down_", "joint_")
"""Key prefixes of the windows' limits; they are relative to `limit`."""
SAFE_SIDE_BUDGET = 0.01
"""Share of the false alarms for the side that is no burst (flow down, pressure up)."""


def fit(
    days_of_channel: TrainingDays, pressure_days: TrainingDays | None, per_day: float, rising: bool
) -> Parameters | None:
    """Fit scales and limits for false alarms per day; None when nothing varied or nothing was expected yet.

    partner: pressure days when this is flow rate, else None; rising: whether up is the dangerous side.
    """
    days = usable_days(days_of_channel, days_of_channel.residuals)
    if days is None:
        return None
    means = standardise(days_of_channel.residuals, days.reference, WINDOW_MINUTES)
    alarmable = _alarmable_scores(means)
    rates = (per_day, per_day * SAFE_SIDE_BUDGET) if rising else (per_day * SAFE_SIDE_BUDGET, per_day)
    limits = fit_two_sided_limits(alarmable, days, *rates, WINDOW_BUDGET)
    max_ratio = max_limit_ratio(alarmable, limits)
    profiles = dict(means.profiles)
    if (
        pressure_days is not None
        and (fitted := head.fit(days_of_channel, pressure_days, days.reference, WINDOW_MINUTES)) is not None
    ):
        pressure_means, pressure_profiles = fitted
        profiles |= pressure_profiles
        for window in WINDOW_MINUTES:
            max_pressure_score = head.head_loss_slope(pressure_profiles, days_of_channel.expected, window) * np.repeat(
                np.array(head.max_plausible_score(profiles, window)), 60
            )
            combined = _combined_score(means, pressure_means, window, max_pressure_score)
            limit = max(threshold_for_rate(daily_maxima(combined, days), per_day * WINDOW_BUDGET[window]), MIN_SCORE)
            limits[f"joint_{window}"] = round_significant(limit)
            max_ratio = np.maximum(max_ratio, combined / limits[f"joint_{window}"])
    limit = max(threshold_for_rate(daily_maxima(max_ratio, days), per_day), MIN_COMBINED_LIMIT) * small_sample_factor(
        int(days.reference.sum())
    )
    limits["limit"] = round_significant(limit)
    spike_parameters = spikes.fit(days_of_channel.residuals, days, *(SPIKE_BUDGET * rate for rate in rates))
    return Parameters(limits | spike_parameters.limits, profiles | spike_parameters.profiles)


def tighten_limits(recent: Parameters | None, long: Parameters | None) -> Parameters | None:
    """Return the recent parameters, with the limits of the longer period where these are lower.

    Unnoticed events raise the limits fitted to them, but are seldom in both periods.
    """
    if recent is None or long is None:
        return recent
    ratio = long.limits["limit"] / recent.limits["limit"]
    limits = {
        key: round_significant(min(limit, long.limits.get(key, math.inf) * ratio))
        if key.startswith(LIMIT_PREFIXES)
        else limit
        for key, limit in recent.limits.items()
    }
    return Parameters(limits, recent.profiles)


def _alarmable_scores(means: StandardisedMeans) -> StandardisedMeans:
    """Keep only scores that `LevelShiftDetector` may alarm on: limits are set for alarms, not for minutes."""
    hour_scores = means.scores_by_window[HOUR_MINUTES]
    hour_std = np.repeat(np.array(means.profiles[f"spread_{HOUR_MINUTES}"]), 60)
    alarmable = {}
    for window, scores in means.scores_by_window.items():
        sign = np.sign(scores)
        mean = means.moving.means(min(window, HOUR_MINUTES))
        shift = sign * (mean - means.expected[window])
        is_persistent = sign * hour_scores >= PERSISTENCE if window > HOUR_MINUTES else True
        alarmable[window] = np.where(
            (shift > hour_std) & (sign * mean >= MIN_SHARE_OF_EXPECTED * shift) & is_persistent, scores, 0.0
        )
    return replace(means, scores_by_window=alarmable)


def _combined_score(
    flow: StandardisedMeans, pressure: StandardisedMeans, window: int, max_pressure_score: Floats
) -> Floats:
    """Return (n, 1440) combined scores of flow and the flow-pressure residual; 0 where they do not count together.

    max_pressure_score: maximum plausible pressure score per unit of flow score.
    """
    flow_score, pressure_score = flow.scores_by_window[window], pressure.scores_by_window[window]
    is_persistent = (
        np.sign(pressure_score) * pressure.scores_by_window[HOUR_MINUTES] >= PERSISTENCE
        if window > HOUR_MINUTES
        else True
    )
    is_combined = (
        (flow_score > MIN_FLOW_SCORE)
        & (np.abs(pressure_score) > MIN_PRESSURE_SCORE)
        & (np.abs(pressure_score) < max_pressure_score * flow_score)
    )
    return np.where(is_combined & is_persistent, np.hypot(flow_score, pressure_score), 0.0)


@dataclass(frozen=True)
class HeldLevel:
    """Level before an open alarm and size of its shift, relative to the hourly scale."""

    level: float
    """Expected level without the shift."""
    size: float
    excess: float
    """In the channel's unit."""


class LevelShiftDetector:
    """Running level-shift detection of one channel; the partner of flow rate is pressure, processed first."""

    def __init__(self, parameters: Parameters | None, partner: LevelShiftDetector | None = None) -> None:
        self.window_scores, self.spikes = WindowScores(WINDOW_MINUTES, parameters), SpikeDetector(parameters)
        self.expected: list[float] = []
        self.residual = math.nan
        self.observed = math.nan
        """The minute's value; NaN when there is none."""
        self._recent_residuals: deque[float] = deque(maxlen=HOUR_MINUTES)
        """Residuals of the last hour, not clipped."""
        self.is_combined = self.has_spike = False
        """Whether the score is that of flow and pressure combined; whether the minute before was a spike."""
        self.baseline: HeldLevel | None = None
        """Level before the open alarm; None without one."""
        self.is_shifted = False
        """Whether a score above its limit still exists in the last hour."""
        self.partner = partner
        self._hour = 0
        self._parameters = parameters
        self._scale = parameters.profiles["scale"] if parameters else (1.0,) * 24
        self._std = parameters.profiles[f"spread_{HOUR_MINUTES}"] if parameters else (0.0,) * 24
        self.flow_pressure = (
            FlowPressureResidual(WINDOW_MINUTES, parameters)
            if parameters and partner and "head_fit" in parameters.profiles
            else None
        )
        self._combined_limits = (
            [parameters.limits[f"joint_{window}"] for window in WINDOW_MINUTES]
            if parameters and self.flow_pressure
            else []
        )

    def carry_state_from(self, previous: LevelShiftDetector) -> LevelShiftDetector:
        """Carry over the baseline of an open alarm from the detector with the previous criteria."""
        ratio = sum(previous._scale) / sum(self._scale)
        baseline = previous.baseline
        self.baseline = baseline and replace(baseline, level=baseline.level * ratio, size=baseline.size * ratio)
        return self

    def start_day(self, expected: list[float], residuals: Floats) -> None:
        """Start a day with its 1440 expected values and the residuals of the days before."""
        self.expected = expected
        self._recent_residuals = deque(
            (residual for residual in residuals[-HOUR_MINUTES:].tolist() if residual == residual), maxlen=HOUR_MINUTES
        )
        self.window_scores.start_day(residuals)
        self.spikes.start_day(residuals[-2:].tolist())

    def hourly_limits(self, hour: int) -> tuple[float, float] | None:
        """Return the residuals of an hour's mean, low and high, at which it is abnormal; None without criteria.

        The levels of the hours before are taken as expected.
        """
        parameters = self._parameters
        if parameters is None:
            return None
        scale = self.window_scores.limit * self._scale[hour] * self._std[hour]
        return -scale * parameters.limits[f"down_{HOUR_MINUTES}"], scale * parameters.limits[f"up_{HOUR_MINUTES}"]

    def start_pressure_day(self, number: int, week: list[Day]) -> None:
        """Start a day, after `start_day`, with the days of the week before it."""
        if self.flow_pressure:
            self.flow_pressure.start_day(number, week, np.array(self.expected or [math.nan] * MINUTES_PER_DAY))

    def skip(self, minutes: int) -> None:
        """Skip minutes without a value."""
        self.window_scores.skip(minutes)
        if self.flow_pressure:
            self.flow_pressure.window_scores.skip(minutes)
        self.spikes.skip()
        self.is_shifted = False

    def check(self, minute: int, value: float | None) -> Check:
        """Return the Check of a value at a minute of the day."""
        window_scores = self.window_scores
        self.observed = math.nan if value is None else value
        if value is None or not self.expected or (expected := self.expected[minute]) != expected:
            self.residual = math.nan
            self.skip(1)
            return NOT_EVALUATED
        self.residual = residual = value - expected
        self._recent_residuals.append(residual)
        self._hour = hour = minute // 60
        if not window_scores.limit:
            window_scores.cumulative.append(window_scores.cumulative[-1] + residual)
            self.is_shifted = False
            return NOT_EVALUATED
        window_scores.update(residual, hour)
        self.is_combined = False
        if self.flow_pressure and self.partner and self.flow_pressure.update(minute, value, self.partner.observed):
            self._combine_with_pressure(self.flow_pressure, self.partner.is_shifted)
        self.is_shifted = window_scores.score >= window_scores.limit and self._still_exceeds()
        spike_ratio = self.spikes.update(residual, hour)
        self.has_spike = spike_ratio >= 1.0
        if self.has_spike:
            window_scores.score = max(window_scores.score, spike_ratio * window_scores.limit)
        return window_scores.check()

    def _combine_with_pressure(self, flow_pressure: FlowPressureResidual, pressure_is_shifted: bool) -> None:
        """Combine flow and pressure, unless pressure has moved by more than this flow can cause."""
        window_scores = self.window_scores
        if pressure_is_shifted and flow_pressure.moved_independently(window_scores.scores):
            return
        for index, (flow_score, limit) in enumerate(zip(window_scores.scores, self._combined_limits, strict=True)):
            if (
                flow_score > MIN_FLOW_SCORE
                and (pressure_score := flow_pressure.plausible_score(index, flow_score)) > MIN_PRESSURE_SCORE
                and math.hypot(flow_score, pressure_score) > window_scores.score * limit
            ):
                window_scores.score = math.hypot(flow_score, pressure_score) / limit
                window_scores.window_index, window_scores.is_up, self.is_combined = index, True, True

    def _still_exceeds(self) -> bool:
        """Whether a window above its limit shows a shift that still exists; selects the longest such window.

        A long window also contains the past, and the end of an earlier excess is no new shift.
        """
        self.is_combined = self.is_combined and self._pressure_exceeds_last_hour()
        return self.is_combined or any(self._exceeds_last_hour() for _ in self.window_scores.exceeding_windows())

    def _pressure_exceeds_last_hour(self) -> bool:
        if self.flow_pressure is None or self.window_scores.window <= HOUR_MINUTES:
            return self.flow_pressure is not None
        score_at = self.flow_pressure.window_scores.score_at
        return math.copysign(1.0, score_at(self.window_scores.window_index)) * score_at(HOUR_INDEX) >= PERSISTENCE

    def _exceeds_last_hour(self) -> bool:
        window_scores = self.window_scores
        sign = 1.0 if window_scores.is_up else -1.0
        mean = sign * window_scores.mean(min(window_scores.window, HOUR_MINUTES))
        shift = mean - sign * window_scores.level_before()
        is_persistent = window_scores.window <= HOUR_MINUTES or sign * window_scores.scores[HOUR_INDEX] >= PERSISTENCE
        return shift > self._std[self._hour] and mean >= MIN_SHARE_OF_EXPECTED * shift and is_persistent

    def freeze_level(self) -> None:
        """Freeze the level before the alarm for as long as it is open."""
        level = self.window_scores.level_before()
        size = self._window_mean() - level
        self.baseline = HeldLevel(level, size, size * self._scale[self._hour])

    def minutes_since_onset(self) -> int:
        """Minutes since the onset of the shift, as far as it is known."""
        return self.window_scores.window - 1

    def persists(self) -> bool:
        """Whether the last hour is closer to the shift than to the level before it, and not as expected."""
        baseline = self.baseline
        if baseline is None or baseline.size == 0.0:
            return False
        mean = self.window_scores.mean(HOUR_MINUTES)
        return (
            mean - baseline.level
        ) / baseline.size >= PERSISTENCE and mean / baseline.size >= PERSISTENCE * MIN_SHARE_OF_EXPECTED

    def persists_in_full(self) -> bool:
        """Whether the shift still exists in full in m³/h: demand falls at night, the flow of a broken main does not."""
        baseline = self.baseline
        if baseline is None or baseline.excess <= 0.0:
            return False
        return (self.window_scores.mean(HOUR_MINUTES) - baseline.level) * self._scale[
            self._hour
        ] >= SAME_SIZE * baseline.excess

    def _window_mean(self) -> float:
        """Return the mean of the last hour, of a shorter window, or of a longer window of combined scores."""
        window = self.window_scores.window
        return self.window_scores.mean(window if self.is_combined else min(window, HOUR_MINUTES))

    def excess(self) -> float:
        """Return the shift against the level before it, in the channel's unit.

        It is the median minute of the last hour, which needs no clipping and so shows a large loss in full. The mean is
        used where it is more than twice as large: a meter that counts pulses shows little in most minutes.
        """
        scale, latest_residuals = self._scale[self._hour], list(self._recent_residuals)[-self.window_scores.window :]
        level = self.baseline.level if self.baseline else self.window_scores.level_before()
        middle = (statistics.median(latest_residuals) if latest_residuals else 0.0) - level * scale
        mean = (self._window_mean() - level) * scale
        return middle if middle * mean >= mean * mean / 2 else mean

    def interval_half_width(self) -> float:
        """Half width of the 90 % interval of the excess, in the channel's unit."""
        return 1.645 * self._std[self._hour] * self._scale[self._hour]
