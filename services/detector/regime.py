"""Since when a pressure goes by its present setting: the newest change of level that stands out from day to day.

One change point, where the days before and after lie closest around medians of their own (least absolute
deviations; Bai, 1995), and where these differ by far more than days do.
"""

from __future__ import annotations

import math

import numpy as np

from shared.domain.nan_quantiles import median, median_and_mad_std
from shared.domain.series import Floats, Ints

SINCE = 28
"""Days in which a change is looked for."""
FEWEST, FEWEST_BEFORE = 3, 7
"""Days that must have passed since then, and before."""
WEEK = 7
STANDS_OUT = 4.0
"""Daily spreads by which the six hours that changed most differ; more while fewer days than a week have passed."""
CHANGED_HOURS = 6
TINY = 1e-6


def first_of_regime(tens: Floats, types: Ints) -> int:
    """Row of the first day of the present regime in (n, 144) ten-minute means, oldest first; 0 without a change.

    types: (n,) which of the days are alike; a weekend is no regime, however far it is from working days.
    """
    hours = tens.reshape(-1, 24, 6).mean(axis=2)
    for kind in np.unique(types):
        hours[types == kind] -= median(hours[types == kind])
    days = len(hours)
    places = np.arange(max(FEWEST_BEFORE, days - SINCE), days)
    before = (np.arange(days)[:, None] < places)[:, :, None]
    unrest = _unrest(np.where(before, hours[:, None], np.nan)) + _unrest(np.where(before, np.nan, hours[:, None]))
    likeliest = int(places[unrest.argmin()]) if len(places) else 0
    lasts = likeliest and days - likeliest >= FEWEST
    return likeliest if lasts and _difference(hours[:likeliest], hours[likeliest:]) > STANDS_OUT else 0


def _unrest(hours: Floats) -> Floats:
    """(places,) sum of the distances of hours, (days, places, 24), from their median over the days."""
    apart = hours - median(hours.reshape(len(hours), -1)).reshape(hours.shape[1:])
    return np.asarray(np.nansum(np.abs(apart), axis=(0, 2)))


def _difference(before: Floats, after: Floats) -> float:
    """How far the levels of two spans of days are apart, in spreads of a day's hours."""
    (old, old_spread), (new, new_spread) = median_and_mad_std(before), median_and_mad_std(after)
    apart = np.nan_to_num(np.abs(new - old) / np.maximum(np.maximum(old_spread, new_spread), TINY))
    return float(np.sort(apart)[-CHANGED_HOURS:].mean()) * math.sqrt(min(1.0, len(after) / WEEK))
