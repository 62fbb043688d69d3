"""Whether one forecast is better than another, or was only luckier."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats, Ints

MIN_DAYS = 5
"""Days without which nothing is sure."""
AUTOCORRELATION_DAYS = 3
"""Days after which good and bad luck are taken to be forgotten, where the forecasts themselves don't overlap longer."""


def diebold_mariano_p_value(differences: Floats, days: Ints, horizon_hours: int) -> float:
    """Chance that the first of two equally good forecasts looks at least this much better; 0.5: no telling.

    `differences`: its losses minus the other's, `hours` ahead, NaN where unknown; `days`: the day of each. Near 0 the
    first is better, near 1 it is worse. Method: Diebold and Mariano (1995) on daily means, so that the hours of one
    day count once. Their variance is that of the slowest cosines (Lazarus, Lewis, Stock and Watson 2018), as few as
    fit the days over which luck lasts, with the t distribution of as many degrees: so it is right for few and
    overlapping forecasts, too (Coroneo and Iacone 2020).
    """
    from scipy.special import stdtr  # the trainer's service needs it once a day

    daily = _daily_means(differences, days)
    count = len(daily)
    if count < MIN_DAYS:
        return 0.5
    degrees = max(1, count // max(AUTOCORRELATION_DAYS, -(-horizon_hours // 24)))
    waves = np.cos(np.pi * np.outer(np.arange(1, degrees + 1), np.arange(count) + 0.5) / count)
    spread = float(np.mean(2 / count * (waves @ daily) ** 2))
    mean = float(daily.mean())
    if spread <= 1e-12 * mean**2:
        return 0.5 if mean == 0 else float(mean > 0)
    return float(stdtr(degrees, mean * np.sqrt(count / spread)))


def _daily_means(differences: Floats, days: Ints) -> Floats:
    known = ~np.isnan(differences)
    _, place = np.unique(days[known], return_inverse=True)
    means: Floats = np.bincount(place, differences[known]) / np.bincount(place)
    return means
