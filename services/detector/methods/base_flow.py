"""Night minimum flow, and the base flow: the part of the day's flow that is the same at all hours.

A leak adds the same m³/h at all hours. Of all weighted sums of 24 hourly means that show a constant flow in full, the
one with the least variance from day to day is used (generalized least squares; Aitken, 1936). Hours of low demand get
the highest weights, and day hours negative ones. Higher pressure increases leakage (FAVAD; May, 1994, with the exponent
1 of mixed pipes), so the increase of a site's usual leakage is subtracted.
"""

from __future__ import annotations

import numpy as np

from services.detector.day_history import Mask, TrainingDays
from services.detector.methods.standardise import Parameters
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

NIGHT_END_HOUR, NIGHT_START_HOUR = 5, 22
"""Local hours: days are taken from 05:00 to 05:00, and nights begin at 22:00."""
SLOTS_BEFORE_MIDNIGHT, SLOTS_AFTER_MIDNIGHT = 12, 30
"""Ten-minute slots of a night."""
MINIMUM_WINDOW_SLOTS = 18
"""Three hours: length of the site's minimum window."""
LOOKBACK_DAYS = 28
MIN_DAYS = 4
"""Days that a median needs."""
MIN_KNOWN_HOURS = 18
CLIP_STD = 3.5
"""Standard deviations at which an hour's mean is clipped before fitting."""
COVARIANCE_SHRINKAGE_DAYS = 8
"""Prior weight, in days, of the diagonal of the covariance."""
DEMAND_SWING = 0.1
"""Share by which demand may swing although the fitted days do not show it, as in heat or on holidays."""
LEAKAGE_SHARE = 0.5
"""Share of the lowest hour's flow that is taken for leakage, which does not follow demand."""
MAX_PRESSURE_RATIO = 1.5
"""Ratio to the expected pressure above which the pressure meter is considered wrong."""
WEEKEND_NAMES = {1: "saturday", 2: "sunday"}
"""Day type to its name; public holidays are Sundays."""


def minimum_night_flow(nights: Floats, window_start: int) -> Floats:
    """Return (n,) night minimum flows, m³/h: means of the lower half of the minimum window.

    NaN where less than half is known.

    nights: (n, 42) ten-minute means; window_start: first slot of the minimum window.
    """
    window = np.sort(nights[:, window_start : window_start + MINIMUM_WINDOW_SLOTS], axis=1)
    known_count = np.count_nonzero(window == window, axis=1)
    lower_half = (known_count + 1) // 2
    sums = np.where(np.arange(MINIMUM_WINDOW_SLOTS) < lower_half[:, None], window, 0.0).sum(axis=1)
    return np.where(2 * known_count >= MINIMUM_WINDOW_SLOTS, sums / np.maximum(lower_half, 1), np.nan)


def night_measures(ten_minute_means: Floats, ordinals: Ints, day_types: Ints, parameters: Parameters) -> Floats:
    """Return (3, n) m³/h: base flow of the days up to 05:00, night minimum flow, and mean flow 05:00–22:00.

    ten_minute_means: (n, 2, 144) of flow and pressure, oldest day first; ordinals and day_types: (n,). Weekend offsets
    and the effect of pressure on leakage are subtracted. NaN where too little is known.
    """
    flow = _pressure_corrected(ten_minute_means[:, 0], ten_minute_means[:, 1], parameters)
    days = _days_ending_at_five(_hourly_means(flow) - _offsets_by_day(day_types, parameters.profiles), ordinals)
    is_known = ~np.isnan(days)
    base_flow = np.where(is_known, days, parameters.profiles["hours"]) @ np.array(parameters.profiles["weights"])
    window_start = int(parameters.limits["calm_from"])
    night_minimum = minimum_night_flow(night_slots(flow, ordinals), window_start)
    for day_type, name in WEEKEND_NAMES.items():
        night_minimum[day_types == day_type] -= parameters.limits[name]
    unknown = np.isnan(night_minimum) | (is_known.sum(axis=1) < MIN_KNOWN_HOURS)
    day_hours = NIGHT_START_HOUR - NIGHT_END_HOUR
    day_mean = np.where(is_known, days, 0.0)[:, :day_hours].sum(axis=1) / np.maximum(
        is_known[:, :day_hours].sum(axis=1), 1
    )
    return np.where(unknown, np.nan, np.array([base_flow, night_minimum, day_mean]))


def fit(flow_days: TrainingDays, pressure_days: TrainingDays) -> Parameters | None:
    """Fit leakage, minimum window, weekend offsets and weights of the hours; None when too little is known."""
    leakage = _background_leakage(flow_days, pressure_days)
    flow = _pressure_corrected(flow_days.ten_minute_means, pressure_days.ten_minute_means, leakage)
    hours, nights = _hourly_means(flow), night_slots(flow, flow_days.ordinals)
    profiles = {name: _weekend_offset(hours, flow_days, day_type) for day_type, name in WEEKEND_NAMES.items()}
    days = _days_ending_at_five(hours - _offsets_by_day(flow_days.day_types, profiles), flow_days.ordinals)
    expected = median(days[flow_days.reference])
    window_start = _minimum_window_start(nights[flow_days.reference])
    flows = minimum_night_flow(nights, window_start)[:, None]
    weights = _fit_weights(days, expected, flow_days.reference)
    if weights is None:
        return None
    limits = leakage.limits | {
        name: _weekend_offset(flows, flow_days, day_type)[0] for day_type, name in WEEKEND_NAMES.items()
    }
    profiles |= leakage.profiles
    return Parameters(
        limits | {"calm_from": float(window_start)}, profiles | {"hours": _round_all(expected), "weights": weights}
    )


def _background_leakage(flow_days: TrainingDays, pressure_days: TrainingDays) -> Parameters:
    """Return the leakage at the expected pressure (m³/h), and that pressure by hour (bar); 0 where unknown."""
    lowest = float(np.nan_to_num(median(_hourly_means(flow_days.ten_minute_means)[flow_days.reference])).min())
    expected_pressure = np.nan_to_num(median(_hourly_means(pressure_days.ten_minute_means)[pressure_days.reference]))
    return Parameters(
        {"leakage": float(f"{LEAKAGE_SHARE * max(lowest, 0.0):.6g}")}, {"pressure": _round_all(expected_pressure)}
    )


def _pressure_corrected(flow: Floats, pressure: Floats, parameters: Parameters) -> Floats:
    """Return (n, 144) flow without the leakage that a pressure above the expected one adds."""
    expected = np.repeat(np.array(parameters.profiles["pressure"]), 6)
    ratio = np.divide(pressure, expected, out=np.ones(pressure.shape), where=expected > 0.0)
    excess_ratio = np.clip(np.nan_to_num(ratio, nan=1.0), 1.0, MAX_PRESSURE_RATIO) - 1.0
    corrected: Floats = flow - parameters.limits["leakage"] * excess_ratio
    return corrected


def _fit_weights(days: Floats, expected: Floats, reference: Mask) -> tuple[float, ...] | None:
    """Return (24,) weights with sum 1 whose weighted sum of the hours has the least variance."""
    deviations = np.array([day - median(days[max(0, row - LOOKBACK_DAYS) : row]) for row, day in enumerate(days)])
    deviations = deviations[MIN_DAYS:][reference[MIN_DAYS:]]
    deviations = deviations[~np.isnan(deviations).any(axis=1)]
    if (
        len(deviations) < MIN_DAYS
        or not (std := 1.4826 * np.median(np.abs(deviations - np.median(deviations, axis=0)), axis=0)).any()
    ):
        return None
    std = np.maximum(std, 0.3 * np.median(std[std > 0]))
    clipped = np.clip(deviations / std, -CLIP_STD, CLIP_STD)
    covariance = np.cov(clipped, rowvar=False, bias=True)
    shrinkage = COVARIANCE_SHRINKAGE_DAYS / (COVARIANCE_SHRINKAGE_DAYS + len(deviations))
    covariance = (1 - shrinkage) * covariance + shrinkage * np.diag(np.maximum(np.diag(covariance), 0.01))
    swing = DEMAND_SWING * (expected - LEAKAGE_SHARE * expected.min())
    weights = np.linalg.solve(covariance * np.outer(std, std) + np.outer(swing, swing), np.ones(len(expected)))
    return _round_all(weights / weights.sum())


def _minimum_window_start(nights: Floats) -> int:
    """Return the slot, of 42, at which the three hours with the lowest flow begin; nights: (n, 42)."""
    expected = np.nan_to_num(median(nights), nan=np.inf)
    sums = [
        expected[start : start + MINIMUM_WINDOW_SLOTS].sum()
        for start in range(SLOTS_BEFORE_MIDNIGHT + SLOTS_AFTER_MIDNIGHT - MINIMUM_WINDOW_SLOTS + 1)
    ]
    return int(np.argmin(sums))


def _hourly_means(ten_minute_means: Floats) -> Floats:
    """Average (n, 144) to (n, 24); NaN where less than half is known."""
    blocks = ten_minute_means.reshape(len(ten_minute_means), 24, 6)
    is_known = ~np.isnan(blocks)
    count = is_known.sum(axis=2)
    return np.where(count >= 3, np.where(is_known, blocks, 0.0).sum(axis=2) / np.maximum(count, 1), np.nan)


def _days_ending_at_five(hours: Floats, ordinals: Ints) -> Floats:
    """Convert (n, 24) hours of calendar days to hours of the days that end at 05:00."""
    return np.concatenate([_day_before(hours, ordinals)[:, NIGHT_END_HOUR:], hours[:, :NIGHT_END_HOUR]], axis=1)


def night_slots(ten_minute_means: Floats, ordinals: Ints) -> Floats:
    """Return (n, 42) ten-minute means 22:00–05:00 of the nights that end on these days."""
    return np.concatenate(
        [
            _day_before(ten_minute_means, ordinals)[:, -SLOTS_BEFORE_MIDNIGHT:],
            ten_minute_means[:, :SLOTS_AFTER_MIDNIGHT],
        ],
        axis=1,
    )


def _day_before(rows: Floats, ordinals: Ints) -> Floats:
    before = np.full(rows.shape, np.nan)
    follows = np.flatnonzero(np.diff(ordinals) == 1)
    before[follows + 1] = rows[follows]
    return before


def _weekend_offset(rows: Floats, days: TrainingDays, day_type: int) -> tuple[float, ...]:
    """Return the offset of a day type against working days, by column; 0 while unknown."""
    of_type = rows[days.reference & (days.day_types == day_type)]
    working_days = rows[days.reference & (days.day_types == 0)]
    has_enough = len(of_type) >= 3 and len(working_days) >= 5
    offset: Floats = np.nan_to_num(median(of_type) - median(working_days)) if has_enough else np.zeros(rows.shape[1])
    return _round_all(offset)


def _offsets_by_day(day_types: Ints, profiles: dict[str, tuple[float, ...]]) -> Floats:
    """Return (n, 24) offsets of each day against working days."""
    table = np.zeros((1 + len(WEEKEND_NAMES), 24))
    for day_type, name in WEEKEND_NAMES.items():
        table[day_type] = profiles[name]
    offsets: Floats = table[day_types]
    return offsets


def _round_all(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
