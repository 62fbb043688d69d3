"""The profile forecast: hour-of-week profile plus correction by recent residuals; used until a model is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import hour_of_week, residual_process, uncertainty
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.hour_of_week import DAY_HOURS, LOOKBACK_WEEKS, WEEK_HOURS, week_slots
from shared.domain.series import Floats, Ints

FORECAST_HOURS = residual_process.FORECAST_HOURS
"""Values of a forecast: horizons of 0 … 168 hours."""
MIN_KNOWN_HOURS = 3
"""Known hours that a profile needs."""
PRIOR_HOLIDAY_SHARE, PRIOR_HOLIDAY_HOURS = 0.8, 24.0
"""Prior of the holiday share (0: as the weekday, 1: as a Sunday), with the weight of so many holiday hours."""


@dataclass(frozen=True)
class Profile:
    """Expected values at each hour of the week, fitted up to one hour."""

    expected: Floats
    """168 values from Monday 00:00, in the channel's unit."""
    weekday_effect: Floats
    """168 values: the part of `expected` that differs from the day type."""
    sunday_difference: Floats
    """168 differences between Sunday and the day itself, at the same hour of the day."""
    holiday_share: float
    """Share of that difference on a holiday."""
    residual_std: Floats
    """168 standard deviations of the residuals, by hour of the day."""
    scaled_residuals: Floats
    """Residuals of the given hours from the first known one on, in standard deviations; clipped, NaN where unknown."""
    long_kernel_share: float
    """Share of the long kernel (residual_process) at the next hours."""
    calendar: HolidayCalendar

    def expected_at(self, local_hours: Ints) -> Floats:
        """Return the expected values at local hours, holidays included."""
        slots = week_slots(local_hours)
        is_holiday = self.calendar.holiday_mask(local_hours)
        return self.expected[slots] + self.holiday_share * is_holiday * self.sunday_difference[slots]


@dataclass(frozen=True)
class QuantileForecast:
    """Quantiles of 169 hours, in the channel's unit."""

    p10: Floats
    p50: Floats
    p90: Floats


def fit(values: Floats, local_hours: Ints, calendar: HolidayCalendar = NO_HOLIDAYS) -> Profile | None:
    """Fit a profile to hourly means in order of time, newest last; at most the last nine weeks count.

    Returns None when fewer than three hours are known.
    """
    values, local_hours = values[-LOOKBACK_WEEKS * WEEK_HOURS :], local_hours[-LOOKBACK_WEEKS * WEEK_HOURS :]
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < MIN_KNOWN_HOURS:
        return None
    values, local_hours = values[known[0] :], local_hours[known[0] :]
    values = hour_of_week.drop_implausible(values, local_hours)
    slots, is_holiday = week_slots(local_hours), calendar.holiday_mask(local_hours)
    expected, weekday_effect = hour_of_week.fit_hour_of_week(values, local_hours, is_holiday)
    sunday_difference = np.tile(expected[-DAY_HOURS:], 7) - expected
    is_on_weekday = is_holiday & (slots < 6 * DAY_HOURS)
    share = _fit_holiday_share(values - expected[slots], sunday_difference[slots], is_on_weekday)
    residuals = values - expected[slots] - share * is_holiday * sunday_difference[slots]
    residual_std = uncertainty.residual_std(residuals, local_hours, expected)
    scaled = uncertainty.clip_outliers(residuals / residual_std[slots])
    return Profile(
        expected=expected,
        weekday_effect=weekday_effect,
        sunday_difference=sunday_difference,
        holiday_share=share,
        residual_std=residual_std,
        scaled_residuals=scaled,
        long_kernel_share=residual_process.long_kernel_share(scaled),
        calendar=calendar,
    )


def _fit_holiday_share(residuals: Floats, sunday_difference: Floats, is_holiday: NDArray[np.bool_]) -> float:
    """Fit the share of the Sunday difference on holidays by least squares with a prior."""
    used = is_holiday & ~np.isnan(residuals)
    prior_weight = PRIOR_HOLIDAY_HOURS * float(np.mean(sunday_difference**2)) + 1e-12
    covariance = float(residuals[used] @ sunday_difference[used])
    variance = float(sunday_difference[used] @ sunday_difference[used])
    return float(np.clip((PRIOR_HOLIDAY_SHARE * prior_weight + covariance) / (prior_weight + variance), 0.0, 1.2))


def residual_correction(profile: Profile, local_hours: Ints) -> Floats:
    """Return the correction of the profile at the 169 local hours ahead, from the recent residuals."""
    scaled = residual_process.forecast_residuals(profile.scaled_residuals, profile.long_kernel_share)
    return scaled * profile.residual_std[week_slots(local_hours)]


def forecast(profile: Profile, local_hours: Ints) -> QuantileForecast:
    """Forecast the 169 local hours ahead; the quantiles follow the errors of earlier forecasts."""
    p50 = profile.expected_at(local_hours) + residual_correction(profile, local_hours)
    offsets = uncertainty.quantile_offsets(profile.scaled_residuals, profile.long_kernel_share)
    low, high = offsets * profile.residual_std[week_slots(local_hours)]
    return QuantileForecast(p50 + low, p50, p50 + high)
