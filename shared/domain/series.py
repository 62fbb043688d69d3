"""Readings of one sensor as arrays."""

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
    """Epoch seconds, full minutes, strictly increasing."""
    flow_rate: Floats
    """m³/h, NaN where missing."""
    pressure: Floats
    """bar, NaN where missing."""

    def __len__(self) -> int:
        return len(self.at)

    def channel(self, name: str) -> Floats:
        """Return the values of a channel, `flow_rate` or `pressure`."""
        values: Floats = getattr(self, name)
        return values


NO_READINGS = Series(np.array([], dtype=np.int64), np.array([], dtype=np.float64), np.array([], dtype=np.float64))
"""An empty series."""
