"""Readings of one sensor as arrays: what history gives and methods learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MINUTE = 60
HOUR = 3600
DAY = 86_400
WEEK = 604_800


@dataclass(frozen=True)
class Series:
    """Readings of one sensor in order of time; the three arrays have the same length."""

    at: Ints
    """UTC epoch seconds, full minutes, strictly growing."""
    flow_rate: Floats
    """m³/h, NaN where the meter gave none."""
    pressure: Floats
    """bar, NaN where the meter gave none."""

    def __len__(self) -> int:
        return len(self.at)

    def channel(self, name: str) -> Floats:
        """Values of one channel, `flow_rate` or `pressure`."""
        values: Floats = getattr(self, name)
        return values


@dataclass(frozen=True)
class Hourly:
    """Means of full hours without a gap in time: value i belongs to the hour that starts at first + i h."""

    first: int
    """UTC epoch seconds, a full hour."""
    values: Floats
    """Mean of each hour, NaN where fewer than half of its minutes are known."""


def hourly_means(at: Ints, values: Floats, start: int, stop: int) -> Hourly:
    """Hourly means of the hours from start (epoch seconds, a full hour) up to stop (exclusive)."""
    hours = max(0, (stop - start) // HOUR)
    known = ~np.isnan(values) & (at >= start) & (at < start + hours * HOUR)
    slot = (at[known] - start) // HOUR
    count = np.bincount(slot, minlength=hours)[:hours]
    total = np.bincount(slot, weights=values[known], minlength=hours)[:hours]
    return Hourly(start, np.where(count >= 30, total / np.maximum(count, 1), np.nan))
