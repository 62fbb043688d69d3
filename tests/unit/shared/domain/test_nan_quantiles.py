"""Quantiles of long and short columns with gaps equal those of numpy."""

from __future__ import annotations

import numpy as np
import pytest

from shared.domain.nan_quantiles import PARTITION_MIN_ROWS, median_and_mad_std, quantile


@pytest.mark.parametrize("rows", [1, 2, 7, PARTITION_MIN_ROWS - 1, PARTITION_MIN_ROWS, 3 * PARTITION_MIN_ROWS + 1])
@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_quantiles_equal_those_of_numpy(rows: int, level: float) -> None:
    table = np.random.default_rng(rows).normal(size=(rows, 5))
    table[: rows // 2, 1] = np.nan
    table[max(rows // 3, 1) :, 2] = np.nan
    table[1:, 3] = np.nan
    assert quantile(table, level) == pytest.approx(np.nanquantile(table, level, axis=0))
    table[:, 4] = np.nan
    assert np.isnan(quantile(table, level)[4])


def test_no_rows_give_nan() -> None:
    assert np.isnan(quantile(np.empty((0, 3)), 0.5)).all()


def test_mad_std_equals_the_standard_deviation_of_normal_values() -> None:
    center, std = median_and_mad_std(np.random.default_rng(1).normal(7.0, 2.0, size=(20_000, 2)))
    assert center == pytest.approx([7.0, 7.0], abs=0.1)
    assert std == pytest.approx([2.0, 2.0], abs=0.1)
