"""Fixed thresholds: values outside quantiles of the first months, and a fixed limit of the night minimum."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import ObservedRecord, group_alarms, meter_alarms, night_minima, ten_minute_means
from bench.detection.scoring import Alarm
from shared.domain.series import DAY, HOUR

OUTER_SHARE = 0.001
"""Share of the learning minutes outside each quantile."""


def alarms(record: ObservedRecord) -> list[Alarm]:
    """Return the alarms of a record."""
    alarms_ = meter_alarms(record)
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        lower, upper = np.nanquantile(values[: record.learning_minutes], (OUTER_SHARE, 1 - OUTER_SHARE))
        alarms_ += group_alarms(record.at, values > upper, "burst" if channel == "flow_rate" else "step", channel, HOUR)
        alarms_ += group_alarms(record.at, values < lower, "step", channel, HOUR)
    at, lowest = night_minima(record.at[::10][: len(record.at) // 10], ten_minute_means(record.flow))
    learned = lowest[at < record.at[record.learning_minutes]]
    return alarms_ + group_alarms(at, lowest > learned.mean() + 3 * learned.std(), "leak", "flow_rate", 2 * DAY)
