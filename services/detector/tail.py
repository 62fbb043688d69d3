"""Limits from what the clean days reached: a false-alarm rate, not a number of sigmas."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats

EXPECTED_LENGTH, EXPECTED_DAYS = 0.2, 5.0
"""Tail length in parts of the median that is assumed with the weight of five days, before a site has shown its own."""
SHORTEST = 0.02
"""Length of the tail, in parts of the median, where days hardly differ."""
BULK = (0.5, 0.25)
"""Parts of the days above median and upper quartile, which the tail is told from: a few odd days hardly move them."""


def limit_for(maxima: Floats, per_day: float, above: tuple[float, float] = BULK) -> float:
    """Score that a clean day exceeds with probability per_day, from the maxima of days (NaN: unknown).

    Exponential tail of the block maxima beyond their upper quartile (peaks over threshold; Pickands, 1975), its length
    from median and quartile (or other parts of the days above), which a few days with an unnoticed event hardly move.
    Days with an anomaly are given as infinite: as many of them as false alarms were wished for count as beyond all
    others, since leaving these out would cut the tail by what it is to foretell; the rest had a cause and tell nothing
    of noise. Wider while few days are known; infinite when none is.
    """
    known = np.sort(maxima[~np.isnan(maxima)])
    finite = known[np.isfinite(known)]
    if not len(finite):
        return float("inf")
    beyond = min(len(known) - len(finite), int(np.ceil(per_day * len(known))))
    lower, upper = np.quantile(np.append(finite, np.full(beyond, finite[-1])), [1 - part for part in above])
    length = max(float(upper - lower) / np.log(above[0] / above[1]), SHORTEST * abs(float(lower)))
    weight = len(finite) / (len(finite) + EXPECTED_DAYS)
    length = weight * length + (1 - weight) * max(EXPECTED_LENGTH * abs(float(lower)), length)
    small = 1.0 + 8.0 / len(finite)
    return float(upper + length * max(float(np.log(above[1] / per_day)), 0.0) * small)
