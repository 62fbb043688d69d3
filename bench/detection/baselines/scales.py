"""CUSUMs over means of ten minutes, one, six and twenty-four hours, and nights against the four weeks before."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import (
    Shown,
    alarms_of,
    limit_for,
    means,
    meter_alarms,
    night_minima,
    profile,
    slots_of_week,
)
from bench.detection.baselines.profile import HIGHEST, cusum, levelled
from bench.detection.scoring import Alarm
from shared.domain.series import DAY, HOUR, Floats, Ints

SCALES = (1, 6, 36, 144)
"""Ten-minute means in a mean."""
NIGHTS = 28


def alarms(record: Shown) -> list[Alarm]:
    """Alarms of a record."""
    at, learned = record.at[::10][: len(record.at) // 10], record.learned // 10
    tens, slots = means(record.flow), slots_of_week(at)
    middle, spread = profile(tens[:learned], slots[:learned])
    residual = levelled((tens - middle[slots]) / spread[slots])
    found = meter_alarms(record) + scale_alarms(at, residual, learned)
    ends, lowest = night_minima(at, tens)
    return found + alarms_of(ends, above_usual(lowest), "leak", "flow_rate", 2 * DAY)


def scale_alarms(at: Ints, residual: Floats, learned: int) -> list[Alarm]:
    """Alarms of standardized residuals at each scale, limits from the first `learned`."""
    found = []
    for scale in SCALES:
        wide = _means_of(np.clip(residual, -8, 8), scale)
        times, known = at[scale - 1 :: scale][: len(wide)], learned // scale
        usual = np.nanstd(wide[:known]) or 1.0
        height = limit_for(cusum(wide[:known] / usual, np.inf), times[:known], 0.5 / len(SCALES))
        flags = cusum(wide / usual, HIGHEST * height) > height
        kind = "burst" if scale < 36 else "leak"
        found += alarms_of(times, flags, kind, "flow_rate", 2 * scale * 600 + HOUR)
    return found


def above_usual(lowest: Floats) -> np.ndarray:
    """Whether each night is above mean + 3 standard deviations of the ordinary nights of four weeks before."""
    flags = np.zeros(len(lowest), dtype=bool)
    for night in range(14, len(lowest)):
        past = lowest[max(0, night - NIGHTS) : night]
        ordinary = past[~flags[max(0, night - NIGHTS) : night]]
        if len(ordinary) >= 7:
            flags[night] = lowest[night] > ordinary.mean() + 3 * ordinary.std()
    return flags


def _means_of(values: Floats, scale: int) -> Floats:
    rows = values[: len(values) // scale * scale].reshape(-1, scale)
    known = ~np.isnan(rows)
    count = known.sum(axis=1)
    return np.where(2 * count >= scale, np.where(known, rows, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
