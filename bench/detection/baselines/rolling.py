"""Ten-minute means against median and MAD of the same time on the fourteen days before (Hampel, 1974)."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import ObservedRecord, group_alarms, limit_for_rate, meter_alarms, ten_minute_means
from bench.detection.scoring import Alarm
from shared.domain.series import HOUR, Floats

LOOKBACK_DAYS = 14
SLOTS_PER_DAY = 144


def alarms(record: ObservedRecord) -> list[Alarm]:
    """Return the alarms of a record."""
    alarms_ = meter_alarms(record)
    at = record.at[::10][: len(record.at) // 10]
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        scores = deviations(ten_minute_means(values))
        limit = limit_for_rate(np.abs(scores)[: record.learning_minutes // 10], at[: record.learning_minutes // 10])
        up = "burst" if channel == "flow_rate" else "step"
        alarms_ += group_alarms(at, scores > limit, up, channel, 2 * HOUR)
        alarms_ += group_alarms(at, scores < -limit, "step", channel, 2 * HOUR)
    return alarms_


def deviations(means: Floats) -> Floats:
    """Return (n,) deviations of the means in standard deviations, NaN in the first days."""
    scores = np.full(len(means), np.nan)
    rows = means[: len(means) // SLOTS_PER_DAY * SLOTS_PER_DAY].reshape(-1, SLOTS_PER_DAY)
    for day in range(LOOKBACK_DAYS, len(rows)):
        previous = rows[day - LOOKBACK_DAYS : day]
        median = _median(previous)
        std = 1.4826 * _median(np.abs(previous - median))
        std_floor = np.maximum(std, 0.5 * np.nanmedian(std) + 1e-6)
        scores[day * SLOTS_PER_DAY : (day + 1) * SLOTS_PER_DAY] = (rows[day] - median) / std_floor
    return scores


def _median(rows: Floats) -> Floats:
    """Return the median of each column; NaN for one without values."""
    has_values = ~np.isnan(rows).all(axis=0)
    medians = np.full(rows.shape[1], np.nan)
    medians[has_values] = np.nanmedian(rows[:, has_values], axis=0)
    return medians
