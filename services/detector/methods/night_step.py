"""Minimum flow of the last night (야간 최소 유량) against the two weeks before: by night a burst shows in full.

One evaluation a day needs a much lower limit than one every minute. A new constant flow at night counts as loss until
its cause is known.
"""

from __future__ import annotations

import numpy as np

from services.detector.day_history import TrainingDays
from services.detector.methods.night_trend import DEMAND_FACTOR, NightMeasure, rise_above_baseline
from services.detector.methods.standardise import Parameters, round_significant, small_sample_factor
from services.detector.threshold import threshold_for_rate
from shared.domain.series import Floats

BASELINE_NIGHTS = 14
"""Nights of the baseline."""
MIN_LIMIT_STD = 2.0
"""Minimum limit, in standard deviations."""
MIN_NIGHTS = 4
"""Minimum nights that a limit needs."""
TAIL_QUANTILES = (0.2, 0.1)
"""Shares of nights above, which the tail is fitted to: a night is a single value, not a maximum of many."""


def fit(series: Floats, days: TrainingDays, per_day: float) -> Parameters | None:
    """Fit the limit (m³/h) for false alarms per day, and the nights' standard deviation; None with too few nights.

    series: (3, n) of `base_flow.night_measures`.
    """
    rises = _rise_above_nights_before(series[NightMeasure.NIGHT_MINIMUM])[days.has_enough_data]
    known_rises = rises[~np.isnan(rises)]
    if len(known_rises) < MIN_NIGHTS:
        return None
    std = 1.4826 * float(np.median(np.abs(known_rises)))
    limit = max(threshold_for_rate(known_rises, per_day, TAIL_QUANTILES), MIN_LIMIT_STD * std) * small_sample_factor(
        len(known_rises)
    )
    return (
        Parameters({"last": round_significant(limit), "last_spread": round_significant(std)}, {})
        if limit > 0.0
        else None
    )


def latest_excess(series: Floats) -> float:
    """Return the rise of the last night's minimum flow, m³/h; 0 after a day of high demand, NaN when unknown."""
    night_rise, day_rise = (
        latest_rise(series[measure]) for measure in (NightMeasure.NIGHT_MINIMUM, NightMeasure.DAY_MEAN)
    )
    return 0.0 if day_rise > DEMAND_FACTOR * night_rise > 0.0 else night_rise


def latest_rise(flows: Floats) -> float:
    """Return the rise of the last of (n,) flows, m³/h, above the median of the nights before; NaN when unknown."""
    return float(_rise_above_nights_before(flows[-1 - BASELINE_NIGHTS :])[-1])


def _rise_above_nights_before(flows: Floats) -> Floats:
    """Return (n,) m³/h above the median of the nights before; NaN where unknown.

    Nights with an alarm are included: the median tolerates them, and a lasting rise becomes the new level.
    """
    (rise,), _ = rise_above_baseline(flows, np.ones(len(flows), dtype=np.bool_), (1,), BASELINE_NIGHTS)
    return np.asarray(rise)
