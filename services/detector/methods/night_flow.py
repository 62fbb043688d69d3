"""Method night (야간 최소 유량): base flow and night minimum flow of the last nights against the weeks before.

Night flow analysis (IWA; Farley and Trow, 2003) over 3 to 12 nights against a sliding baseline. It finds what a CUSUM
(Page, 1954) over nights finds, with a limited memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.detector.day_history import Day, TrainingDays
from services.detector.methods import base_flow, night_step
from services.detector.methods.night_trend import (
    BASELINE_NIGHTS,
    MIN_NIGHTS,
    PERSISTENCE,
    WINDOW_NIGHTS,
    NightMeasure,
    NightTrend,
    rise_above_baseline,
)
from services.detector.methods.standardise import Z_80, Parameters
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats, Ints

NIGHT_START_MINUTE, NIGHT_END_MINUTE = 22 * 60, 5 * 60
"""Local minutes of the night."""
DEFAULT_WINDOW_START_SLOT = 24
"""Slot of the night at which the minimum window begins until it is fitted: 02:00."""
MAX_AGE_TO_OPEN_NIGHTS, ACCEPTED_AFTER_NIGHTS = 21, 28
"""Nights after which a rise no longer opens an alarm, and after which that of an open alarm is accepted as normal."""
HISTORY_NIGHTS = ACCEPTED_AFTER_NIGHTS + max(WINDOW_NIGHTS) + BASELINE_NIGHTS
MIN_STD_SHARE = 0.6
"""Minimum standard deviation of a window, as a share of the largest one: long windows show few independent values."""
RATE_AT_ZERO, MIN_LIMIT = 0.35, 0.6
"""Rises above s standard deviations cause about 0.35 exp(-s) false alarms a week (bench/detection); minimum limit."""
SMALL_SAMPLE_NIGHTS = 8.0
"""Known nights at which the limit is doubled."""
CHANCE_EXCEEDANCES = 2.0
"""Rises above the budget that may have exceeded the limit by chance in the days fitted to."""
MEASURE_NAMES = ("rise", "night", "day")
"""Names of the measures in the keys of their standard deviations."""


@dataclass(frozen=True)
class NightExcess:
    """Excess of the last nights over the baseline."""

    flow: float
    """m³/h"""
    interval_half_width: float
    """Half width of the 90 % interval of `flow`, m³/h."""
    nights: int
    """Nights since the onset."""
    lost_volume: float
    """m³ since the onset."""


def fit(
    flow_days: TrainingDays, pressure_days: TrainingDays, per_day: float, last_night_per_day: float
) -> Parameters | None:
    """Fit base flow, standard deviations by window, and limits; None before enough nights are known.

    per_day: false alarms of rises over several nights; last_night_per_day: of a rise in the last night alone.
    """
    if (
        len(flow_days.ten_minute_means) <= MIN_NIGHTS
        or not flow_days.reference.any()
        or (base_parameters := base_flow.fit(flow_days, pressure_days)) is None
    ):
        return None
    series = base_flow.night_measures(
        np.stack([flow_days.ten_minute_means, pressure_days.ten_minute_means], axis=1),
        flow_days.ordinals,
        flow_days.day_types,
        base_parameters,
    )
    std_by_key: dict[str, float] = {}
    night_count = 0
    for name, flows in zip(MEASURE_NAMES, series, strict=True):
        rise, _ = rise_above_baseline(flows, flow_days.anomaly_free)
        rises_by_window = [_reference_rises(row, flow_days) for row in rise]
        night_count = max(map(len, rises_by_window))
        if night_count < MIN_NIGHTS:
            return None
        stds = [
            float(np.quantile(np.abs(row), 0.8)) / Z_80 if len(row) >= MIN_NIGHTS else math.inf
            for row in rises_by_window
        ]
        floor = max(MIN_STD_SHARE * max(std for std in stds if std < math.inf), 0.001 * abs(float(np.nanmedian(flows))))
        if not floor:
            return None
        std_by_key |= {
            f"{name}_{count}": float(f"{max(std, floor):.6g}")
            for count, std in zip(WINDOW_NIGHTS, stds, strict=True)
            if std < math.inf
        }
    parameters = Parameters(base_parameters.limits | std_by_key, base_parameters.profiles)
    limit = max(math.log(RATE_AT_ZERO / (7 * per_day)), MIN_LIMIT) * (1 + SMALL_SAMPLE_NIGHTS / night_count)
    limit = _raise_to_budget(
        limit,
        NightTrend(series, flow_days.anomaly_free).scores(_std_table(parameters)),
        CHANCE_EXCEEDANCES + per_day * night_count,
    )
    step_parameters = night_step.fit(series, flow_days, last_night_per_day)
    limits = parameters.limits | {"limit": float(f"{limit:.6g}")} | (step_parameters.limits if step_parameters else {})
    return Parameters(limits, base_parameters.profiles)


def _reference_rises(rise: Floats, days: TrainingDays) -> Floats:
    """Return the rises of reference nights, or of all nights with enough data when those are too few."""
    reference_rises = rise[days.reference & ~np.isnan(rise)]
    return reference_rises if len(reference_rises) >= MIN_NIGHTS else rise[days.has_enough_data & ~np.isnan(rise)]


def _raise_to_budget(limit: float, scores: Floats, max_exceedances: float) -> float:
    """Return the limit, raised until at most so many rises exceed it; a rise may be of any window."""
    for higher in [limit, *np.sort(scores[scores >= limit])]:
        exceeds = scores > higher
        if np.count_nonzero(exceeds[1:] & ~exceeds[:-1]) <= max_exceedances:
            return float(higher)
    return limit


def _std_table(parameters: Parameters | None) -> Floats:
    """Return (measures, windows) standard deviations, m³/h; infinite where not fitted."""
    limits = parameters.limits if parameters else {}
    return np.array([[limits.get(f"{name}_{count}", math.inf) for count in WINDOW_NIGHTS] for name in MEASURE_NAMES])


class NightFlowDetector:
    """Running night flow detection of one sensor."""

    def __init__(self, parameters: Parameters | None) -> None:
        """Raise LookupError or ValueError for parameters that are incomplete, as those of an older version."""
        self._parameters = parameters
        if parameters:
            base_flow.night_measures(np.full((1, 2, 144), np.nan), np.array([1]), np.array([0]), parameters)
        limits = parameters.limits if parameters else {}
        self._std = _std_table(parameters)
        self._limit = limits.get("limit", 1.0)
        self.window_start_slot = int(limits.get("calm_from", DEFAULT_WINDOW_START_SLOT))
        """Ten-minute slot of the night, from 22:00, at which the minimum window begins."""
        self.current_check = NOT_EVALUATED
        self.minimum_flow = math.nan
        """Night minimum flow without the effects of weekend and pressure, m³/h."""
        self.measured_minimum_flow = math.nan
        """Night minimum flow as measured, m³/h."""
        self.rise = math.nan
        """Rise of `minimum_flow` above the median of the nights before, m³/h."""
        self.excess: NightExcess | None = None
        self.step_limit = limits.get("last", math.inf)
        """Rise of a single night above which it is abnormal, m³/h."""
        self._step_std = limits.get("last_spread", 0.0)
        self.night_step: NightExcess | None = None
        """Rise of the last night alone, when it exceeds its limit."""
        self.is_unknown = False
        """Whether too little of the last night is known to evaluate it."""
        self.is_leaking = False
        """Whether the rise over several nights exceeds its limit."""
        self.alarm_opened_on = 0
        """Ordinal of the day on which the open leak alarm began, set before `evaluate`; 0 for none."""
        self.is_resolved = False
        """Whether the cause of the open alarm is gone, or its level is accepted as normal."""

    def evaluate(self, days: list[Day], morning: Floats, ordinal: int, day_types: Ints, anomalous: set[int]) -> None:
        """Evaluate the night that ended on day `ordinal`; morning: its (2, 144) ten-minute means.

        days: the finished days before it; day_types: (n + 1,) of these and of this one; anomalous: ordinals left out.
        """
        self.current_check = NOT_EVALUATED
        self.excess = None
        self.is_resolved = ordinal - self.alarm_opened_on >= ACCEPTED_AFTER_NIGHTS
        self.night_step, self.is_leaking, self.is_unknown = None, False, True
        ordinals = np.array([*(day.ordinal for day in days), ordinal])
        flows = np.array([*(day.ten_minute_means[0] for day in days[-1:]), morning[0]])
        nights = base_flow.night_slots(flows, ordinals[-2:])
        self.measured_minimum_flow = float(base_flow.minimum_night_flow(nights, self.window_start_slot)[-1])
        self.rise = math.nan
        if self._parameters is None:
            return
        series = base_flow.night_measures(
            np.array([*(day.ten_minute_means for day in days), morning]), ordinals, day_types, self._parameters
        )
        self.rise = night_step.latest_rise(series[NightMeasure.NIGHT_MINIMUM])
        self._check_last_night(night_step.latest_excess(series))
        trend = NightTrend(series, ~np.isin(ordinals, list(anomalous)))
        windows = trend.strongest_window(self._std)
        self.minimum_flow = float(series[NightMeasure.NIGHT_MINIMUM, -1])
        for index in np.flatnonzero(ordinals == self.alarm_opened_on):
            level, rise = (array[:2, windows[index], index] for array in (trend.levels, trend.sustained))
            self.is_resolved = self.is_resolved or bool((series[:2, -1] - level < PERSISTENCE * rise).any())
        if np.isnan(trend.sustained[:2, :, -1]).all() and self.night_step is None:
            return
        self.excess = self._estimate_excess(
            series[NightMeasure.BASE_FLOW], trend.levels[NightMeasure.BASE_FLOW, windows[-1], -1], int(windows[-1])
        )
        is_normal = self.excess is None or (self.excess.nights > MAX_AGE_TO_OPEN_NIGHTS and not self.alarm_opened_on)
        score = 0.0 if is_normal else round(float(trend.scores(self._std)[-1]), 2)
        self.is_leaking = score >= self._limit
        flag = self.is_leaking or self.night_step is not None
        self.current_check = Check(1 if flag else 0, max(score, self._limit) if flag else score, self._limit)

    def _check_last_night(self, rise: float) -> None:
        self.is_unknown = rise != rise
        if rise > self.step_limit:
            self.night_step = NightExcess(rise, 1.645 * self._step_std, 1, math.nan)

    def _estimate_excess(self, flows: Floats, level: float, window: int) -> NightExcess | None:
        """Return the excess; its onset is the first night at least a quarter of it above the level."""
        flow = float(np.nanmedian(flows[-WINDOW_NIGHTS[window] :])) - level
        if not flow > 0:
            return None
        above = np.isnan(flows) | (flows >= level + flow / 4)
        first = len(flows) - 1
        while first > 1 and above[first - 2 : first].any():
            first -= 1
        water = 24 * float(np.nansum(np.maximum(flows[first:] - level, 0.0)))
        return NightExcess(flow, 1.645 * float(self._std[NightMeasure.BASE_FLOW, window]), len(flows) - first, water)

    def is_deepest_hour(self, minute: int) -> bool:
        """Whether a minute of the day is in the last hour of the site's minimum window."""
        slot = (minute // 10 + base_flow.SLOTS_BEFORE_MIDNIGHT) % 144
        return (
            self.window_start_slot + base_flow.MINIMUM_WINDOW_SLOTS - 6
            <= slot
            < self.window_start_slot + base_flow.MINIMUM_WINDOW_SLOTS
        )

    def check(self, minute: int, value: float | None) -> Check:
        """Return the Check of the newest complete night within 22:00–05:00; not evaluated at other times."""
        if value is None or NIGHT_END_MINUTE <= minute < NIGHT_START_MINUTE:
            return NOT_EVALUATED
        return self.current_check
