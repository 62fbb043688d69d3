"""Medians and other quantiles of columns with gaps (NaN), and the deviation of their values."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats

PARTITION_MIN_ROWS = 1000
"""Rows from which on partitioning is faster than sorting."""


def median(rows: Floats) -> Floats:
    """Return the median of each column; NaN is ignored, an empty column gives NaN."""
    return quantile(rows, 0.5)


def quantile(rows: Floats, level: float) -> Floats:
    """Return a quantile of each column, interpolated linearly; NaN is ignored, an empty column gives NaN.

    All columns at once, where np.nanquantile processes them one by one.
    """
    if not len(rows):
        return np.full(rows.shape[1], np.nan)
    last = np.maximum((rows == rows).sum(axis=0) - 1, 0)
    columns = np.arange(rows.shape[1])
    position = level * last
    low = position.astype(np.int64)
    high = np.minimum(low + 1, last)
    ordered = (
        np.sort(rows, axis=0) if len(rows) < PARTITION_MIN_ROWS else np.partition(rows, np.unique([low, high]), axis=0)
    )
    below, above = ordered[low, columns], ordered[high, columns]
    quantiles: Floats = below + (position - low) * (above - below)
    return quantiles


def median_and_mad_std(rows: Floats) -> tuple[Floats, Floats]:
    """Return each column's median and its median absolute deviation, scaled to the standard deviation of a normal."""
    center = median(rows)
    return center, 1.4826 * median(np.abs(rows - center))
