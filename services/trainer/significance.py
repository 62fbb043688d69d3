"""Whether one forecast is better than another, or was only luckier."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats, Ints

FEWEST = 5
"""Days without which nothing is sure."""


def chance(differences: Floats, days: Ints, hours: int) -> float:
    """Chance that the first of two equally good forecasts looks at least this much better; 0.5: no telling.

    `differences`: its losses minus the other's, `hours` ahead, NaN where unknown; `days`: the day of each. Near 0 the
    first is better, near 1 it is worse. Method: Diebold and Mariano (1995) on daily means, so that the hours of one
    day count once, with the variance of Newey and West (1987) and the small-sample correction and t distribution of
    Harvey, Leybourne and Newbold (1997).
    """
    from scipy.special import stdtr  # the trainer's service needs it once a day

    daily = _daily(differences, days)
    count, span = len(daily), -(-hours // 24)
    if count < FEWEST:
        return 0.5
    spread = _variance(daily, max(span, int(np.ceil(np.cbrt(count)))))
    mean = float(daily.mean())
    if spread <= 1e-12 * mean**2:
        return 0.5 if mean == 0 else float(mean > 0)
    corrected = max(0.0, (count + 1 - 2 * span + span * (span - 1) / count) / count)
    return float(stdtr(count - 1, mean * np.sqrt(corrected * count / spread)))


def _daily(differences: Floats, days: Ints) -> Floats:
    known = ~np.isnan(differences)
    _, place = np.unique(days[known], return_inverse=True)
    means: Floats = np.bincount(place, differences[known]) / np.bincount(place)
    return means


def _variance(daily: Floats, lags: int) -> float:
    """Long-run variance with Bartlett's weights, never negative."""
    count, centred = len(daily), daily - daily.mean()
    lags = min(lags, count - 1)
    return float(
        centred @ centred / count
        + sum(2 * (1 - lag / (lags + 1)) * centred[lag:] @ centred[:-lag] / count for lag in range(1, lags + 1))
    )
