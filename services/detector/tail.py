"""Limits from what the clean days reached: a false-alarm rate, not a number of sigmas."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats

FAR = 9.0
"""Daily maxima this many tail lengths above the median are taken for events, not for noise."""


def limit_for(maxima: Floats, per_day: float) -> float:
    """Score that a clean day exceeds with probability per_day, from the maxima of clean days (NaN: unknown).

    Exponential tail above the median of the block maxima (peaks over threshold; Pickands, 1975), fitted without the
    days that stand out as events; wider while few days are known. Infinite when no day is known.
    """
    known = np.sort(maxima[~np.isnan(maxima)])
    if not len(known):
        return float("inf")
    median, upper = np.quantile(known, (0.5, 0.75))
    length = max(float(upper - median) / np.log(2), 0.02 * abs(float(median)))
    kept = known[known <= median + FAR * length]
    above = kept[kept > median] - median
    length = max(length, float(above.mean()) if len(above) else 0.0)
    small = 1.0 + 2.0 / np.sqrt(len(known))
    return float(median) + length * max(float(np.log(0.5 / per_day)), 1.0) * small
