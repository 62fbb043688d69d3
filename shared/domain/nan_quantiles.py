"""Medians and other quantiles of columns with gaps, and how far values lie around them."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats

PARTITION_MIN_ROWS = 1000
"""Rows of a column from which on its two values at the quantile are found sooner than all are sorted."""


def median(rows: Floats) -> Floats:
    """Median of each column; NaN counts as absent, and is the answer where nothing is known."""
    return quantile(rows, 0.5)


def quantile(rows: Floats, level: float) -> Floats:
    """The same for another quantile, straight from one value to the next.

    All columns at once, where np.nanquantile goes through them one by one.
    """
    if not len(rows):
        return np.full(rows.shape[1], np.nan)
    last = np.maximum((rows == rows).sum(axis=0) - 1, 0)
    columns = np.arange(rows.shape[1])
    place = level * last
    low = place.astype(np.int64)
    high = np.minimum(low + 1, last)
    ordered = (
        np.sort(rows, axis=0) if len(rows) < PARTITION_MIN_ROWS else np.partition(rows, np.unique([low, high]), axis=0)
    )
    below, above = ordered[low, columns], ordered[high, columns]
    found: Floats = below + (place - low) * (above - below)
    return found


def median_and_mad_std(rows: Floats) -> tuple[Floats, Floats]:
    """Median of each column, and its median absolute deviation as the standard deviation of normal values."""
    middle = median(rows)
    return middle, 1.4826 * median(np.abs(rows - middle))
