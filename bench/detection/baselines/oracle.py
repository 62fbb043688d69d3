"""Oracle: knows the expected demand of each minute, with heat, holidays and customers; only chance is unknown."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import ObservedRecord, meter_alarms, slots_of_week, ten_minute_means, weekly_profile
from bench.detection.baselines.weekly_profile import residual_alarms
from bench.detection.scoring import Alarm


def alarms(record: ObservedRecord) -> list[Alarm]:
    """Return the alarms of a record."""
    at, learned = record.at[::10][: len(record.at) // 10], record.learning_minutes // 10
    expected, slots = ten_minute_means(record.expected), slots_of_week(at)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = (ten_minute_means(record.flow) - expected) / expected
    median, std = weekly_profile(residual[:learned], slots[:learned])
    residual = (residual - np.nanmedian(median)) / std[slots]
    return meter_alarms(record) + residual_alarms(at, residual, learned, "flow_rate")
