"""How far a channel's hours usually are from the profile, and its forecasts from what comes."""

from __future__ import annotations

import numpy as np

from shared.domain import kriging
from shared.domain.medians import median
from shared.domain.series import Floats, Ints
from shared.domain.weeks import DAY_HOURS, by_hour, middle_of, quantiles

SURE, GUESSED = 4.0, 0.04
"""Days with which an hour's own spread counts as much as that of all hours, and these as much as a guess:

so much of the way from the lowest to the highest hour of the week.
"""
FAULTY, SHIFTED = 6.0, 12.0
"""Residuals this many usual deviations away are cut; and how far most of a day may lie to be believed."""
TRIED, TRIED_EVERY, LEAST_TRIED = (0, 1, 3, 7, 12, 23, 72, 168), 5, 60
"""Hours ahead whose errors of the last weeks are looked at, hours between those forecasts, and fewest of them."""
OPTIMISM = np.array([1.22, 1.18, 1.15, 1.13, 1.13, 1.13, 1.15, 1.16])
"""A profile is nearer to its own weeks than to the next one, and the share of the long memory was chosen in them."""
LAST, FIRM = 168, 168.0
"""Hours whose errors tell whether it is calmer or wilder now, and how many of them are half believed."""
CALMEST, WILDEST = 0.7, 1.5
"""Factors by which they may move the quantiles."""
LEAST = 0.1
"""Usual deviations that a forecast is never surer of, before it is widened."""
YOUNG, FIRST_WEEK = 1.3, 168.0
"""The same while there are too few weeks to look at, and known hours at which it is twice that."""


def spread(residuals: Floats, local_hours: Ints, usual: Floats) -> Floats:
    """(168,) usual deviations, like standard ones: by hour of the day, smoothed over its neighbours."""
    hourly, count = by_hour(np.abs(residuals), local_hours)
    days = count.mean()
    overall = middle_of(np.abs(residuals[~np.isnan(residuals)]))
    overall = (days * overall + SURE * GUESSED * float(np.ptp(usual))) / (days + SURE)
    overall = max(overall, 1e-4 * float(np.abs(usual).mean()), 1e-9)
    hourly = (count * np.nan_to_num(hourly) + SURE * overall) / (count + SURE)
    smooth = (np.roll(hourly, 1) + hourly + np.roll(hourly, -1)) / 3
    return 1.4826 * np.tile(np.clip(smooth, 0.4 * overall, 2.5 * overall), 7)


def without_faults(scaled: Floats) -> Floats:
    """Residuals in usual deviations, cut where they are far from what is usual and from the median of their day."""
    days = np.full(-(-len(scaled) // DAY_HOURS) * DAY_HOURS, np.nan)
    days[-len(scaled) :] = scaled
    middles = np.nan_to_num(median(days.reshape(-1, DAY_HOURS).T))
    middles = np.repeat(np.clip(middles, -SHIFTED, SHIFTED), DAY_HOURS)[-len(scaled) :]
    return np.clip(scaled, np.minimum(middles, 0.0) - FAULTY, np.maximum(middles, 0.0) + FAULTY)


def errors(scaled: Floats, lasting: float) -> Floats:
    """(2, 169) offsets of p10 and p90, in usual deviations: what forecasts of the last weeks missed by.

    They go half the way to what would have held four fifths of the last week's hours: conformal prediction that
    follows a change (Gibbs and Candès, 2021), by a quantile of the newest scores instead of steps.
    """
    missed = _missed(scaled, lasting, TRIED_EVERY)
    if np.count_nonzero(~np.isnan(missed), axis=0).min() < LEAST_TRIED:
        return _young(scaled)
    low, high = quantiles(missed, (0.1, 0.9))
    low, high = np.minimum(low, -LEAST), np.maximum(high, LEAST)
    newest = _missed(scaled[-(kriging.PAST + TRIED[-1] + LAST) :], lasting, 1)
    wider = OPTIMISM * _now(np.where(newest > 0, newest / high, newest / low))
    tried, hours = list(TRIED), np.log1p(np.arange(kriging.AHEAD))
    return np.stack([np.interp(hours, hours[tried], wider * one) for one in (low, high)])


def _missed(scaled: Floats, lasting: float, every: int) -> Floats:
    """(n, 8) errors at the horizons that are tried, newest forecast first; NaN where nothing came, or not yet."""
    coming = np.full(kriging.AHEAD, np.nan)
    brief, added, came = kriging.looking_back(np.concatenate([scaled, coming]), TRIED, every)
    return np.asarray(came - brief - lasting * added)


def _now(scores: Floats) -> Floats:
    """(8,) how far off p10 and p90 lie now, in parts of where the last weeks have them, at the horizons that are tried.

    `scores`: errors (n, 8) in these parts, one row an hour, newest first.
    """
    age = np.arange(len(scores))[:, None] - np.array(TRIED)
    known = np.where(age <= LAST, scores, np.nan)
    count = np.count_nonzero(~np.isnan(known), axis=0)
    (needed,) = quantiles(known, (0.8,))
    needed = np.where(count > 0, needed, 1.0)
    return np.asarray(np.clip(needed ** (count / (count + FIRM)), CALMEST, WILDEST))


def _young(scaled: Floats) -> Floats:
    """The same from what differs from the profile, which was learned from the same few hours."""
    known = scaled[~np.isnan(scaled)]
    far = np.maximum(np.abs(np.quantile(known - np.median(known), (0.1, 0.9))), 0.5)
    return np.outer(YOUNG * (1 + FIRST_WEEK / len(known)) * far * (-1, 1), kriging.spread())
