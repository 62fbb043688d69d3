"""One that knows what demand is expected at each minute, heat and holidays and customers included: all but chance."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import Shown, means, meter_alarms, profile, slots_of_week
from bench.detection.baselines.profile import residual_alarms
from bench.detection.scoring import Alarm


def alarms(record: Shown) -> list[Alarm]:
    """Alarms of a record."""
    at, learned = record.at[::10][: len(record.at) // 10], record.learned // 10
    usual, slots = means(record.expected), slots_of_week(at)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = (means(record.flow) - usual) / usual
    middle, spread = profile(residual[:learned], slots[:learned])
    residual = (residual - np.nanmedian(middle)) / spread[slots]
    return meter_alarms(record) + residual_alarms(at, residual, learned, "flow_rate")
