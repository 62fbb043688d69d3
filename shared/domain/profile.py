"""The week ahead from the hour-of-week profile and the recent level: what forecasts until a model is better.

Hours are counted: hour h starts at h * 3600 epoch seconds; local hours are the same in site-local wall time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.series import Floats, Ints

WEEKS = 6
"""Weeks that the profile looks back."""
WEEK_HOURS = 168
AHEAD = 169
"""Values of a forecast: k = 0 … 168."""
MONDAY_HOUR = 96
"""The first Monday 00:00 after the epoch, in hours."""
TRUSTED = 3
"""Known weeks from which on an hour of the week stands for itself."""
FAST_HOURS, DAY_HOURS = 3, 24
FAST_DECAY, DAY_DECAY, WEEK_DECAY = 6.0, 72.0, 500.0
"""Hours after which the excess of the last hours, day and week has fallen to 1/e of it."""
OPTIMISM = 1.15
"""A median of six weeks is nearer to its own weeks than to the next one."""
DAY_TYPES: tuple[tuple[int, ...], ...] = ((0, 1, 2, 3, 4), (5,), (6,))
_K = np.arange(AHEAD)
_DECAYS = np.exp(-np.outer(1.0 / np.array([FAST_DECAY, DAY_DECAY, WEEK_DECAY]), _K))


@dataclass(frozen=True)
class Profile:
    """What is usual at each hour of the week, as of one hour."""

    usual: Floats
    """168 values from Monday 00:00, in the channel's unit."""
    residuals: Floats
    """The given hours minus what was usual then; NaN where unknown."""

    def at(self, local_hours: Ints) -> Floats:
        """What is usual at local hours."""
        return self.usual[(local_hours - MONDAY_HOUR) % WEEK_HOURS]


@dataclass(frozen=True)
class Outlook:
    """Quantiles of the 169 hours ahead, in the channel's unit."""

    p10: Floats
    p50: Floats
    p90: Floats


def learn(values: Floats, local_hours: Ints) -> Profile | None:
    """Profile of hourly means in order of time, newest last; at most the last six weeks count.

    None when fewer than three hours are known.
    """
    values, local_hours = values[-WEEKS * WEEK_HOURS :], local_hours[-WEEKS * WEEK_HOURS :]
    if np.count_nonzero(~np.isnan(values)) < TRUSTED:
        return None
    slots = (local_hours - MONDAY_HOUR) % WEEK_HOURS
    weeks = (local_hours[-1] - local_hours) // WEEK_HOURS
    table = np.full((WEEKS + 1, WEEK_HOURS), np.nan)
    table[weeks, slots] = values
    usual, known = _median(table)
    if known.min() < TRUSTED:
        usual = _fill(table, usual, known, values)
    return Profile(usual, values - usual[slots])


def _median(table: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Median of each column and how many values it rests on; NaN counts as absent."""
    columns = np.arange(table.shape[1])
    known = np.count_nonzero(~np.isnan(table), axis=0)
    ordered = np.sort(table, axis=0)
    middle: Floats = 0.5 * (ordered[np.maximum(known - 1, 0) // 2, columns] + ordered[known // 2, columns])
    return middle, known


def _fill(table: Floats, usual: Floats, known: NDArray[np.intp], values: Floats) -> Floats:
    """With few weeks: hours lean on the same hour of like days, of all days, and at last on the recent mean."""
    days = table.reshape(-1, 7, 24)
    recent = values[~np.isnan(values)][-DAY_HOURS:]
    daily, seen = _median(days.reshape(-1, 24))
    daily = np.where(seen > 0, daily, recent.mean())
    typical = np.empty((7, 24))
    for kind in DAY_TYPES:
        middle, seen = _median(days[:, kind].reshape(-1, 24))
        typical[kind, :] = np.where(seen >= 2, middle, daily)
    weight = np.minimum(known, TRUSTED) / TRUSTED
    return weight * np.nan_to_num(usual) + (1 - weight) * typical.ravel()


def levels(profile: Profile) -> Floats:
    """Mean residual of the last 3 hours, day and week; 0 where too little is known."""
    found = [_mean(profile.residuals[-hours:]) for hours in (FAST_HOURS, DAY_HOURS, WEEK_HOURS)]
    return np.array(found)


def _mean(residuals: Floats) -> float:
    known = residuals[~np.isnan(residuals)]
    return float(known.mean()) if 3 * len(known) >= len(residuals) and len(known) else 0.0


def excess(profile: Profile) -> Floats:
    """What the recent level adds to the profile in the 169 hours ahead; decays with the horizon."""
    fast, day, week = levels(profile)
    added: Floats = np.array([fast - day, day - week, week]) @ _DECAYS
    return added


def forecast(profile: Profile, local_hours: Ints) -> Outlook:
    """Quantiles of the 169 local hours ahead; the spread follows the relative residuals of the last weeks."""
    p50 = profile.at(local_hours) + excess(profile)
    residuals = profile.residuals
    low, high = _spread(residuals, np.abs(profile.usual).mean())
    return Outlook(p50 + low, p50, p50 + high)


def _spread(residuals: Floats, scale: float) -> tuple[Floats, Floats]:
    """Offsets of p10 and p90: one hour's surprise near, all that differs from the profile far ahead."""
    surprise = residuals[1:] - residuals[:-1]
    far = residuals[~np.isnan(residuals)]
    near = surprise[~np.isnan(surprise)]
    if len(near) < DAY_HOURS:
        return np.full(AHEAD, -0.2 * scale), np.full(AHEAD, 0.2 * scale)
    q_near, q_far = np.quantile(near, (0.1, 0.9)), OPTIMISM * np.quantile(far - np.median(far), (0.1, 0.9))
    blend = np.exp(-(_K + 1) / FAST_DECAY)
    low, high = blend * q_near[0] + (1 - blend) * q_far[0], blend * q_near[1] + (1 - blend) * q_far[1]
    return np.minimum(low, 0.0), np.maximum(high, 0.0)
