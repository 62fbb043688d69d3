"""Ten-minute means against median and MAD of the same time on the fourteen days before (Hampel, 1974)."""

from __future__ import annotations

import numpy as np

from bench.detection.baselines.grid import Shown, alarms_of, limit_for, means, meter_alarms
from bench.detection.scoring import Alarm
from shared.domain.series import HOUR, Floats

DAYS = 14
PER_DAY = 144


def alarms(record: Shown) -> list[Alarm]:
    """Alarms of a record."""
    found = meter_alarms(record)
    at = record.at[::10][: len(record.at) // 10]
    for channel, values in (("flow_rate", record.flow), ("pressure", record.pressure)):
        scores = deviations(means(values))
        limit = limit_for(np.abs(scores)[: record.learned // 10], at[: record.learned // 10])
        up = "burst" if channel == "flow_rate" else "step"
        found += alarms_of(at, scores > limit, up, channel, 2 * HOUR)
        found += alarms_of(at, scores < -limit, "step", channel, 2 * HOUR)
    return found


def deviations(tens: Floats) -> Floats:
    """(n,) how many spreads each mean is off, NaN in the first days."""
    found = np.full(len(tens), np.nan)
    rows = tens[: len(tens) // PER_DAY * PER_DAY].reshape(-1, PER_DAY)
    for day in range(DAYS, len(rows)):
        past = rows[day - DAYS : day]
        middle = _median(past)
        spread = 1.4826 * _median(np.abs(past - middle))
        wide = np.maximum(spread, 0.5 * np.nanmedian(spread) + 1e-6)
        found[day * PER_DAY : (day + 1) * PER_DAY] = (rows[day] - middle) / wide
    return found


def _median(rows: Floats) -> Floats:
    """Median of each column; NaN for one without values."""
    some = ~np.isnan(rows).all(axis=0)
    found = np.full(rows.shape[1], np.nan)
    found[some] = np.nanmedian(rows[:, some], axis=0)
    return found
