"""Test of two forecasts for equal accuracy."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats, Ints

MIN_DAYS = 5
"""Days of losses that a test needs."""
AUTOCORRELATION_DAYS = 3
"""Days over which daily losses are correlated, unless the forecasts overlap for longer."""


def diebold_mariano_p_value(differences: Floats, days: Ints, horizon_hours: int) -> float:
    """Return the probability that the first of two equally good forecasts looks at least this much better.

    Near 0 the first is better, near 1 it is worse; 0.5 for too few days. `differences`: its losses minus the other's,
    `horizon_hours` ahead, NaN where unknown; `days`: the day of each.

    Method: Diebold and Mariano (1995) on daily means, so that the hours of one day count once. The variance is that
    of the slowest cosines (Lazarus, Lewis, Stock and Watson 2018), as few as fit the autocorrelation, with the t
    distribution of as many degrees of freedom. This is valid for few and overlapping forecasts, too (Coroneo and
    Iacone 2020).
    """
    from scipy.special import stdtr  # imported late: the trainer's service needs it once a day

    daily = _daily_means(differences, days)
    count = len(daily)
    if count < MIN_DAYS:
        return 0.5
    degrees = max(1, count // max(AUTOCORRELATION_DAYS, -(-horizon_hours // 24)))
    waves = np.cos(np.pi * np.outer(np.arange(1, degrees + 1), np.arange(count) + 0.5) / count)
    variance = float(np.mean(2 / count * (waves @ daily) ** 2))
    mean = float(daily.mean())
    if variance <= 1e-12 * mean**2:
        return 0.5 if mean == 0 else float(mean > 0)
    return float(stdtr(degrees, mean * np.sqrt(count / variance)))


def _daily_means(differences: Floats, days: Ints) -> Floats:
    is_known = ~np.isnan(differences)
    _, index = np.unique(days[is_known], return_inverse=True)
    means: Floats = np.bincount(index, differences[is_known]) / np.bincount(index)
    return means
