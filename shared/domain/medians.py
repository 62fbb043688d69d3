"""Medians of columns with gaps, and how far values lie around them."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats


def median(rows: Floats) -> Floats:
    """Median of each column; NaN counts as absent, and is the answer where nothing is known."""
    if not len(rows):
        return np.full(rows.shape[1], np.nan)
    known = np.count_nonzero(~np.isnan(rows), axis=0)
    ordered = np.sort(rows, axis=0)
    columns = np.arange(rows.shape[1])
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, len(rows) - 1)
    middle: Floats = 0.5 * (ordered[low, columns] + ordered[high, columns])
    return middle


def middle_and_spread(rows: Floats) -> tuple[Floats, Floats]:
    """Median of each column, and its median absolute deviation as the standard deviation of normal values."""
    middle = median(rows)
    return middle, 1.4826 * median(np.abs(rows - middle))
