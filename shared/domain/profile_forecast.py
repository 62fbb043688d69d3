"""The week ahead from the hour-of-week profile and the recent residuals: what forecasts until a model is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import hour_of_week, residual_process, uncertainty
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.hour_of_week import DAY_HOURS, LOOKBACK_WEEKS, WEEK_HOURS, week_slots
from shared.domain.series import Floats, Ints

FORECAST_HOURS = residual_process.FORECAST_HOURS
"""Values of a forecast: k = 0 … 168."""
MIN_KNOWN_HOURS = 3
"""Known hours without which there is no profile."""
PRIOR_HOLIDAY_SHARE, PRIOR_HOLIDAY_HOURS = 0.8, 24.0
"""What holidays have of the way from their weekday to a Sunday, believed as firmly as so many hours tell it."""


@dataclass(frozen=True)
class Profile:
    """What is usual at each hour of the week, as of one hour."""

    expected: Floats
    """168 values from Monday 00:00, in the channel's unit."""
    weekday_effect: Floats
    """What each hour's own past has added to that of its type of day."""
    sunday_difference: Floats
    """168 differences between the Sunday and the day itself, at the same hour of the day."""
    holiday_share: float
    """What a holiday has of that difference."""
    residual_std: Floats
    """168 usual deviations from what is usual, by hour of the day."""
    scaled_residuals: Floats
    """The given hours, from the first known one on, minus what was usual then, in usual deviations of the hour,

    faults cut; NaN where unknown.
    """
    long_kernel_share: float
    """Share of the long memory (kriging) in its next hours."""
    calendar: HolidayCalendar

    def expected_at(self, local_hours: Ints) -> Floats:
        """What is usual at local hours."""
        slots = week_slots(local_hours)
        return (
            self.expected[slots]
            + self.holiday_share * self.calendar.holiday_mask(local_hours) * self.sunday_difference[slots]
        )


@dataclass(frozen=True)
class QuantileForecast:
    """Quantiles of the 169 hours ahead, in the channel's unit."""

    p10: Floats
    p50: Floats
    p90: Floats


def fit(values: Floats, local_hours: Ints, calendar: HolidayCalendar = NO_HOLIDAYS) -> Profile | None:
    """Profile of hourly means in order of time, newest last; at most the last nine weeks count.

    None when fewer than three hours are known.
    """
    values, local_hours = values[-LOOKBACK_WEEKS * WEEK_HOURS :], local_hours[-LOOKBACK_WEEKS * WEEK_HOURS :]
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < MIN_KNOWN_HOURS:
        return None
    values, local_hours = (
        hour_of_week.drop_implausible(values[known[0] :], local_hours[known[0] :]),
        local_hours[known[0] :],
    )
    slots, off = week_slots(local_hours), calendar.holiday_mask(local_hours)
    usual, own = hour_of_week.fit_hour_of_week(values, local_hours, off)
    sunday = np.tile(usual[-DAY_HOURS:], 7) - usual
    share = _holiday_share(values - usual[slots], sunday[slots], off & (slots < 6 * DAY_HOURS))
    residuals = values - usual[slots] - share * off * sunday[slots]
    spread = uncertainty.residual_std(residuals, local_hours, usual)
    scaled = uncertainty.clip_outliers(residuals / spread[slots])
    return Profile(usual, own, sunday, share, spread, scaled, residual_process.long_kernel_share(scaled), calendar)


def _holiday_share(residuals: Floats, sunday: Floats, off: NDArray[np.bool_]) -> float:
    """How far holidays went from their weekday towards a Sunday, by least squares from a first belief."""
    seen = off & ~np.isnan(residuals)
    belief = PRIOR_HOLIDAY_HOURS * float(np.mean(sunday**2)) + 1e-12
    told, firm = float(residuals[seen] @ sunday[seen]), float(sunday[seen] @ sunday[seen])
    return float(np.clip((PRIOR_HOLIDAY_SHARE * belief + told) / (belief + firm), 0.0, 1.2))


def residual_correction(profile: Profile, local_hours: Ints) -> Floats:
    """What the recent residuals add to the profile at the 169 local hours ahead."""
    return (
        residual_process.forecast_residuals(profile.scaled_residuals, profile.long_kernel_share)
        * profile.residual_std[week_slots(local_hours)]
    )


def forecast(profile: Profile, local_hours: Ints) -> QuantileForecast:
    """Quantiles of the 169 local hours ahead; their spread follows the errors that such forecasts have had."""
    p50 = profile.expected_at(local_hours) + residual_correction(profile, local_hours)
    low, high = (
        uncertainty.quantile_offsets(profile.scaled_residuals, profile.long_kernel_share)
        * profile.residual_std[week_slots(local_hours)]
    )
    return QuantileForecast(p50 + low, p50, p50 + high)
