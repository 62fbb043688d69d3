"""Rises of nights above the weeks before, over several window lengths; each of the last nights must show the rise."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from services.detector.day_history import Mask
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

WINDOW_NIGHTS = (3, 5, 8, 12)
"""Window lengths."""
BASELINE_NIGHTS = 42
SUSTAINED_NIGHTS = 3
"""Last nights that must each show a share of the rise: a rise of one or two nights is no leak."""
PERSISTENCE = 0.5
"""That share; also the share of the rise of an open alarm that must persist."""
MIN_NIGHTS = 4
"""Minimum nights of a baseline or a standard deviation."""
DEMAND_FACTOR = 2.0
"""Standard deviations, and ratio to the night's rise, from which on a day's rise is demand (heat, holidays)."""


class NightMeasure(IntEnum):
    """Rows of `base_flow.night_measures`."""

    BASE_FLOW = 0
    NIGHT_MINIMUM = 1
    DAY_MEAN = 2


def rise_above_baseline(
    flows: Floats, anomaly_free: Mask, nights: tuple[int, ...] = WINDOW_NIGHTS, baseline: int = BASELINE_NIGHTS
) -> tuple[Floats, Floats]:
    """Return (windows, n) rises of the last nights above the baseline, m³/h, and the baseline levels.

    flows: (n,) by night, oldest first; anomaly_free: nights that may form a baseline. NaN where unknown.
    """
    levels, baselines = _baseline_levels(flows, anomaly_free, baseline), np.full((len(nights), len(flows)), np.nan)
    rise = baselines.copy()
    for row, count in enumerate(nights):
        latest = _trailing_windows(flows, count)
        baselines[row, count:] = levels[:-count]
        is_known = 2 * np.count_nonzero(~np.isnan(latest), axis=1) > count
        rise[row] = np.where(is_known, median(latest.T), np.nan) - baselines[row]
    return rise, baselines


def sustained_rise(flows: Floats, rise: Floats, levels: Floats) -> Floats:
    """Limit the rises to what each of the last nights shows; NaN where the last night is unknown."""
    minimum = np.nan_to_num(_trailing_windows(flows, SUSTAINED_NIGHTS), nan=np.inf).min(axis=1)
    sustained: Floats = np.where(np.isnan(flows), np.nan, np.minimum(rise, (minimum - levels) / PERSISTENCE))
    return sustained


def _baseline_levels(flows: Floats, anomaly_free: Mask, baseline: int) -> Floats:
    """Return (n,) median of the baseline up to each night; anomalous nights are left out unless too few remain."""
    base = _trailing_windows(flows, baseline)
    if not anomaly_free.all():
        normal = _trailing_windows(np.where(anomaly_free, flows, np.nan), baseline)
        known_count, normal_count = np.count_nonzero(base == base, axis=1), np.count_nonzero(normal == normal, axis=1)
        base = np.where((2 * normal_count >= known_count)[:, None], normal, base)
    return np.where(np.count_nonzero(base == base, axis=1) >= MIN_NIGHTS, median(base.T), np.nan)


def _trailing_windows(flows: Floats, count: int) -> Floats:
    """Return (n, count) last values up to each; NaN before the first."""
    return np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(count - 1, np.nan), flows]), count)


class NightTrend:
    """Rises of (3, n) night measures; attributes are (3, windows, n), m³/h."""

    def __init__(self, series: Floats, anomaly_free: Mask) -> None:
        trends = [rise_above_baseline(flows, anomaly_free) for flows in series]
        self.rises, self.levels = (np.array(arrays) for arrays in zip(*trends, strict=True))
        self.sustained = np.array(
            [sustained_rise(*arguments) for arguments in zip(series, self.rises, self.levels, strict=True)]
        )

    def strongest_window(self, stds: Floats) -> Ints:
        """Return (n,) index of the window in which the base flow has risen by the most standard deviations."""
        rise = self.sustained[NightMeasure.BASE_FLOW] / stds[NightMeasure.BASE_FLOW][:, None]
        return np.asarray(np.argmax(np.nan_to_num(rise, nan=-np.inf), axis=0), dtype=np.int64)

    def scores(self, stds: Floats) -> Floats:
        """Return (n,) standard deviations by which both base flow and night minimum have risen; 0 where demand has."""
        rise = np.nan_to_num(self.sustained[:2] / stds[:2, :, None], nan=-np.inf).max(axis=1)
        window, nights = self.strongest_window(stds), np.arange(rise.shape[1])
        day_rise, night_rise = (
            self.rises[measure][window, nights] for measure in (NightMeasure.DAY_MEAN, NightMeasure.NIGHT_MINIMUM)
        )
        is_demand = day_rise > DEMAND_FACTOR * np.maximum(night_rise, stds[NightMeasure.DAY_MEAN][window])
        return np.where(is_demand, 0.0, np.maximum(rise.min(axis=0), 0.0))
