"""The week ahead from the hour-of-week profile and the recent residuals: what forecasts until a model is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import deviations, kriging, weeks
from shared.domain.calendar import NO_HOLIDAYS, Calendar
from shared.domain.series import Floats, Ints
from shared.domain.weeks import DAY_HOURS, WEEK_HOURS, WEEKS, slots_of

AHEAD = kriging.AHEAD
"""Values of a forecast: k = 0 … 168."""
LEAST = 3
"""Known hours without which there is no profile."""
HOLIDAYS_LIKE_SUNDAYS, FIRST_BELIEF = 0.8, 24.0
"""What holidays have of the way from their weekday to a Sunday, believed as firmly as so many hours tell it."""


@dataclass(frozen=True)
class Profile:
    """What is usual at each hour of the week, as of one hour."""

    usual: Floats
    """168 values from Monday 00:00, in the channel's unit."""
    own: Floats
    """What each hour's own past has added to that of its type of day."""
    sunday: Floats
    """168 differences between the Sunday and the day itself, at the same hour of the day."""
    share: float
    """What a holiday has of that difference."""
    spread: Floats
    """168 usual deviations from what is usual, by hour of the day."""
    scaled: Floats
    """The given hours, from the first known one on, minus what was usual then, in usual deviations of the hour,

    faults cut; NaN where unknown.
    """
    lasting: float
    """Share of the long memory (kriging) in its next hours."""
    calendar: Calendar

    def at(self, local_hours: Ints) -> Floats:
        """What is usual at local hours."""
        slots = slots_of(local_hours)
        return self.usual[slots] + self.share * self.calendar.off(local_hours) * self.sunday[slots]


@dataclass(frozen=True)
class Outlook:
    """Quantiles of the 169 hours ahead, in the channel's unit."""

    p10: Floats
    p50: Floats
    p90: Floats


def learn(values: Floats, local_hours: Ints, calendar: Calendar = NO_HOLIDAYS) -> Profile | None:
    """Profile of hourly means in order of time, newest last; at most the last nine weeks count.

    None when fewer than three hours are known.
    """
    values, local_hours = values[-WEEKS * WEEK_HOURS :], local_hours[-WEEKS * WEEK_HOURS :]
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < LEAST:
        return None
    values, local_hours = weeks.believable(values[known[0] :], local_hours[known[0] :]), local_hours[known[0] :]
    slots, off = slots_of(local_hours), calendar.off(local_hours)
    usual, own = weeks.usual(values, local_hours, off)
    sunday = np.tile(usual[-DAY_HOURS:], 7) - usual
    share = _holiday_share(values - usual[slots], sunday[slots], off & (slots < 6 * DAY_HOURS))
    residuals = values - usual[slots] - share * off * sunday[slots]
    spread = deviations.spread(residuals, local_hours, usual)
    scaled = deviations.without_faults(residuals / spread[slots])
    return Profile(usual, own, sunday, share, spread, scaled, kriging.lasting(scaled), calendar)


def _holiday_share(residuals: Floats, sunday: Floats, off: NDArray[np.bool_]) -> float:
    """How far holidays went from their weekday towards a Sunday, by least squares from a first belief."""
    seen = off & ~np.isnan(residuals)
    belief = FIRST_BELIEF * float(np.mean(sunday**2)) + 1e-12
    told, firm = float(residuals[seen] @ sunday[seen]), float(sunday[seen] @ sunday[seen])
    return float(np.clip((HOLIDAYS_LIKE_SUNDAYS * belief + told) / (belief + firm), 0.0, 1.2))


def excess(profile: Profile, local_hours: Ints) -> Floats:
    """What the recent residuals add to the profile at the 169 local hours ahead."""
    return kriging.ahead(profile.scaled, profile.lasting) * profile.spread[slots_of(local_hours)]


def forecast(profile: Profile, local_hours: Ints) -> Outlook:
    """Quantiles of the 169 local hours ahead; their spread follows the errors that such forecasts have had."""
    p50 = profile.at(local_hours) + excess(profile, local_hours)
    low, high = deviations.errors(profile.scaled, profile.lasting) * profile.spread[slots_of(local_hours)]
    return Outlook(p50 + low, p50, p50 + high)
