"""CUSUMs over means of ten minutes, one, six and twenty-four hours, and nights against the four weeks before."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import (
    ObservedRecord,
    group_alarms,
    limit_for_rate,
    meter_alarms,
    night_minima,
    slots_of_week,
    ten_minute_means,
    weekly_profile,
)
from bench.detection.baselines.weekly_profile import CUSUM_CAP, cusum, remove_level
from bench.detection.scoring import Alarm
from shared.domain.series import DAY, HOUR, Floats, Ints

WINDOW_SLOTS = (1, 6, 36, 144)
"""Ten-minute slots of a window."""
BASELINE_NIGHTS = 28


def alarms(record: ObservedRecord) -> list[Alarm]:
    """Return the alarms of a record."""
    at, learned = record.at[::10][: len(record.at) // 10], record.learning_minutes // 10
    means, slots = ten_minute_means(record.flow), slots_of_week(at)
    median, std = weekly_profile(means[:learned], slots[:learned])
    residual = remove_level((means - median[slots]) / std[slots])
    alarms_ = meter_alarms(record) + scale_alarms(at, residual, learned)
    ends, lowest = night_minima(at, means)
    return alarms_ + group_alarms(ends, above_baseline(lowest), "leak", "flow_rate", 2 * DAY)


def scale_alarms(at: Ints, residual: Floats, learned: int) -> list[Alarm]:
    """Return the alarms of standardised residuals at each scale; limits are fitted to the first `learned` of them."""
    alarms = []
    for scale in WINDOW_SLOTS:
        scaled = _means_of(np.clip(residual, -8, 8), scale)
        times, learned_count = at[scale - 1 :: scale][: len(scaled)], learned // scale
        std = np.nanstd(scaled[:learned_count]) or 1.0
        height = limit_for_rate(
            cusum(scaled[:learned_count] / std, np.inf), times[:learned_count], 0.5 / len(WINDOW_SLOTS)
        )
        flags = cusum(scaled / std, CUSUM_CAP * height) > height
        kind = "burst" if scale < 36 else "leak"
        alarms += group_alarms(times, flags, kind, "flow_rate", 2 * scale * 600 + HOUR)
    return alarms


def above_baseline(lowest: Floats) -> np.ndarray:
    """Whether each night is above mean + 3 standard deviations of the normal nights of the four weeks before."""
    flags = np.zeros(len(lowest), dtype=bool)
    for index in range(14, len(lowest)):
        previous = lowest[max(0, index - BASELINE_NIGHTS) : index]
        ordinary = previous[~flags[max(0, index - BASELINE_NIGHTS) : index]]
        if len(ordinary) >= 7:
            flags[index] = lowest[index] > ordinary.mean() + 3 * ordinary.std()
    return flags


def _means_of(values: Floats, scale: int) -> Floats:
    rows = values[: len(values) // scale * scale].reshape(-1, scale)
    is_known = ~np.isnan(rows)
    count = is_known.sum(axis=1)
    return np.where(2 * count >= scale, np.where(is_known, rows, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
