"""The first version's idea: values outside quantiles of the first months, and a fixed limit of the night minimum."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import Shown, alarms_of, means, meter_alarms, night_minima
from bench.detection.scoring import Alarm
from shared.domain.series import DAY, HOUR

OUTER = 0.001
"""Share of the learned minutes beyond each quantile."""


def alarms(record: Shown) -> list[Alarm]:
    """Alarms of a record."""
    found = meter_alarms(record)
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        low, high = np.nanquantile(values[: record.learned], (OUTER, 1 - OUTER))
        found += alarms_of(record.at, values > high, "burst" if channel == "flow_rate" else "step", channel, HOUR)
        found += alarms_of(record.at, values < low, "step", channel, HOUR)
    at, lowest = night_minima(record.at[::10][: len(record.at) // 10], means(record.flow))
    learned = lowest[at < record.at[record.learned]]
    return found + alarms_of(at, lowest > learned.mean() + 3 * learned.std(), "leak", "flow_rate", 2 * DAY)
