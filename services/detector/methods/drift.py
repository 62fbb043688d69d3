"""Drift: a meter whose level leaves, over days, what the other meter and the weeks before it say.

Flow and pressure go together as water does, so what one shows beyond its usual share of the other is its own. Means
over several numbers of days, as in a multi-scale (MOSUM) test: Eichinger and Kirch (2018), doi:10.3150/16-BEJ887.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.memory import Mask, Past
from services.detector.methods.spreads import Learned, caution, rounded
from services.detector.tail import limit_for
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

DAYS = (1, 2, 4)
"""Days that are looked at together."""
BASELINE = 14
ENOUGH = 7
"""Days that a baseline needs."""
LEAST = 3.0
"""No shift of fewer spreads is called one."""
LEAST_PART = 0.07
"""Nor of a smaller part of the usual value."""
STILL = 0.5
"""Part of a shift that the last day must show."""
NEWS = (5, 7)
"""Days after which a shift is no news, if it was as large then; weekends may be off by a part of their own."""
MOST = 0.6
"""Part of the usual from which on a ten-minute mean is another matter than a drift."""
RIDGE = 0.02
MOST_RATE = 0.5
"""Of the days that have a shift, which may be called one: half of them at most."""


def levels(tens: Floats, types: Ints) -> Floats:
    """(n,) by which part each of n days, (n, 144) ten-minute means, is off the median day of its type; NaN: unknown.

    A meter that drifts is off by one part at all hours; the median hour isn't moved by what lasts less than half a day.
    """
    off = np.full(tens.shape, np.nan)
    for kind in np.unique(types):
        usual = median(tens[types == kind])
        off[types == kind] = tens[types == kind] / np.where(usual > 0.0, usual, np.nan) - 1.0
    off[np.abs(np.nan_to_num(off)) > MOST] = np.nan
    return np.where(2 * np.count_nonzero(~np.isnan(off), axis=1) >= tens.shape[1], median(off.T), np.nan)


def shifts(days: Floats) -> Floats:
    """(len(DAYS),) how far the last days are above the two weeks before; NaN where unknown.

    What the last day shows less than half of is over, and what was there by half before, NEWS days ago, is known.
    """
    found = np.full(len(DAYS), np.nan)
    for place, count in enumerate(DAYS):
        latest, before = days[-count:], days[-count - BASELINE : -count]
        before = before[~np.isnan(before)]
        if len(before) >= ENOUGH and not np.isnan(latest).any():
            level = np.median(before)
            mean, last = latest.mean() - level, (latest[-1] - level) / STILL
            known = [np.sign(mean) * (days[-1 - ago] - level) >= STILL * abs(mean) for ago in NEWS]
            found[place] = 0.0 if any(known) else np.sign(mean) * min(abs(mean), max(np.sign(mean) * last, 0.0))
    return found


def learn(past: Past, other: Past, per_day: float) -> Learned | None:
    """Share of the other meter's level, and limits for false alarms per day; None before enough days are known."""
    own, theirs = levels(past.tens, past.types), levels(other.tens, other.types)
    weight = _weight(own[past.calm], theirs[past.calm])
    seen = np.array([alone(own[:stop], theirs[:stop], weight) for stop in range(1, len(own) + 1)])
    limits = {}
    for count, column in zip(DAYS, np.abs(seen).reshape(-1, len(DAYS)).T, strict=True):
        known = column[past.calm & ~np.isnan(column)]
        if len(known) >= ENOUGH:
            limit = max(
                _tail(column, past.calm, per_day / len(DAYS)), LEAST * 1.4826 * float(np.median(known)), LEAST_PART
            )
            limits[f"days_{count}"] = rounded(limit * caution(int(past.calm.sum())))
    return Learned(limits | {"weight": weight}, {}) if limits else None


def _tail(sizes: Floats, calm: Mask, per_day: float) -> float:
    """Size that a calm day's shift exceeds with probability per_day; 0 where no calm day has one.

    Most days have none, and tell nothing of the tail but how rare shifts are.
    """
    known = sizes[calm & ~np.isnan(sizes)]
    moved = np.count_nonzero(known)
    if not moved:
        return 0.0
    seen = np.where(calm | np.isnan(sizes), sizes, np.inf)
    return limit_for(np.where(sizes == 0.0, np.nan, seen), min(per_day * len(known) / moved, MOST_RATE))


def _weight(own: Floats, theirs: Floats) -> float:
    """Least squares of one meter's level by the other's, hardly moved by days that stand out."""
    both = ~np.isnan(own) & ~np.isnan(theirs)
    if np.count_nonzero(both) < 2 * ENOUGH:
        return 0.0
    rows = np.stack([own[both], theirs[both]])
    far = 3.0 * 1.4826 * np.median(np.abs(rows), axis=1, keepdims=True)
    rows = np.clip(rows, -far, far)
    square = float(rows[1] @ rows[1]) * (1.0 + RIDGE)
    return rounded(float(rows[0] @ rows[1]) / square) if square else 0.0


def alone(own: Floats, theirs: Floats, weight: float) -> Floats:
    """(len(DAYS),) how far one meter's level has gone itself, and without the other's."""
    if not weight:
        return shifts(own)
    itself, beyond = shifts(own), shifts(own - weight * theirs)
    return np.where(itself * beyond > 0.0, np.sign(beyond) * np.minimum(np.abs(itself), np.abs(beyond)), 0.0 * beyond)


@dataclass(frozen=True)
class Shift:
    """What a meter's level has moved by, channel's unit, over the last minutes."""

    size: float
    minutes: int
    parts: float
    """Of its limit."""


def blamed(shifts_: Sequence[Shift | None]) -> list[Shift | None]:
    """Only that of the meter that is farther off: what one does looks a little like the other's, turned round."""
    most = max((one.parts for one in shifts_ if one), default=0.0)
    return [one if one and one.parts == most else None for one in shifts_]


class Drift:
    """Running side, of one channel."""

    def __init__(self, learned: Learned | None) -> None:
        limits = learned.limits if learned else {}
        self._weight = limits.get("weight", 0.0)
        self._limits = np.array([limits.get(f"days_{count}", math.inf) for count in DAYS])

    def judge(self, own: Floats, theirs: Floats, tens: Floats) -> Shift | None:
        """The shift at the end of the days of which these are the `levels`; None when it is usual.

        tens: (n, 144) own ten-minute means of these days.
        """
        if np.isinf(self._limits).all() or not len(own):
            return None
        found = alone(own, theirs, self._weight)
        parts = np.nan_to_num(np.abs(found) / self._limits)
        place = int(parts.argmax())
        if parts[place] < 1.0:
            return None
        return Shift(float(found[place]) * float(np.nanmedian(tens)), DAYS[place] * 1440, float(parts[place]))
