"""Limits for a false-alarm rate, from the daily maxima of anomaly-free days."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats

PRIOR_SCALE, PRIOR_DAYS = 0.2, 5.0
"""Prior scale of the tail as a share of the median, and its weight in days."""
MIN_SCALE = 0.02
"""Minimum scale of the tail, as a share of the median, for days that hardly differ."""
TAIL_QUANTILES = (0.5, 0.25)
"""Shares of days above the median and the upper quartile, which the tail is fitted to: a few odd days hardly matter."""


def threshold_for_rate(maxima: Floats, per_day: float, tail_shares: tuple[float, float] = TAIL_QUANTILES) -> float:
    """Return the score that an anomaly-free day exceeds with probability per_day, from daily maxima (NaN: unknown).

    Exponential tail of the block maxima beyond their upper quartile (peaks over threshold; Pickands, 1975). Its scale
    comes from median and quartile, or other shares of days above, so that a few days with unnoticed events hardly move
    it. Days with an anomaly are given as infinite. As many of them as the rate allows count as beyond all others, since
    leaving them out would cut the tail; the rest are taken for real events and ignored. The limit is wider while few
    days are known, and infinite when none is.
    """
    known = np.sort(maxima[~np.isnan(maxima)])
    finite = known[np.isfinite(known)]
    if not len(finite):
        return float("inf")
    infinite = min(len(known) - len(finite), int(np.ceil(per_day * len(known))))
    lower, upper = np.quantile(np.append(finite, np.full(infinite, finite[-1])), [1 - share for share in tail_shares])
    scale = max(float(upper - lower) / np.log(tail_shares[0] / tail_shares[1]), MIN_SCALE * abs(float(lower)))
    weight = len(finite) / (len(finite) + PRIOR_DAYS)
    scale = weight * scale + (1 - weight) * max(PRIOR_SCALE * abs(float(lower)), scale)
    small_sample_factor = 1.0 + 8.0 / len(finite)
    return float(upper + scale * max(float(np.log(tail_shares[1] / per_day)), 0.0) * small_sample_factor)
