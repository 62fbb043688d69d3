from __future__ import annotations

import numpy as np
import pytest

from shared.domain import residual_process, uncertainty
from shared.domain.series import Floats

HORIZONS = (0, 1, 3, 6, 12, 24, 72, 168)


def residuals(fades: float, count: int) -> Floats:
    rng, kept = np.random.default_rng(5), np.exp(-1 / fades)
    found = np.zeros(count)
    for one in range(1, count):
        found[one] = kept * found[one - 1] + rng.normal(0, np.sqrt(1 - kept**2))
    return np.asarray(found)


def covered(fades: float) -> Floats:
    """Share of the hours that lie where the nine weeks before each ten days say, by hours ahead."""
    every, found = residuals(fades, 8000), []
    for now in range(1512, 7500, 240):
        known, coming = (
            every[now - 1512 : now],
            every[now - residual_process.PAST_HOURS : now + 240 + residual_process.FORECAST_HOURS],
        )
        share = residual_process.long_kernel_share(known)
        low, high = uncertainty.quantile_offsets(known, share)[:, HORIZONS]
        brief, added, came = residual_process.backtest(coming, HORIZONS, 1)
        missed = came - brief - share * added
        found.append(np.mean((low <= missed) & (missed <= high), axis=0))
    return np.asarray(np.mean(found, axis=0))


@pytest.mark.parametrize("fades", [1.0, 5.0, 20.0])
def test_four_fifths_and_a_little_more_come_between_the_quantiles_at_each_horizon(fades: float) -> None:
    """A profile is nearer to its own weeks than to others, and here there is none: hence the little."""
    assert covered(fades) == pytest.approx(np.full(len(HORIZONS), 0.84), abs=0.07)


def test_quantiles_widen_as_far_as_errors_do_and_no_farther() -> None:
    low, high = uncertainty.quantile_offsets(residuals(3.0, 1512), 0.5)
    width = high - low
    assert width[0] < width[1] < width[3]
    assert width[7] == pytest.approx(width[150], rel=0.25)


def test_a_wilder_or_calmer_week_moves_the_quantiles_some_of_the_way_and_a_gap_does_not() -> None:
    known = residuals(3.0, 1512)
    changed = {factor: known * np.where(np.arange(1512) < 1512 - 168, 1.0, factor) for factor in (0.1, 3.0, np.nan)}
    calmer, wilder, gap = (np.ptp(uncertainty.quantile_offsets(one, 0.5)[:, 24]) for one in changed.values())
    usual = np.ptp(uncertainty.quantile_offsets(known, 0.5)[:, 24])
    assert 0.6 * usual < calmer < 0.9 * usual
    assert 1.1 * usual < wilder < 2.0 * usual
    assert gap == pytest.approx(usual, rel=0.15)


def test_after_a_few_days_the_quantiles_are_wider_than_after_weeks() -> None:
    young, old = (np.ptp(uncertainty.quantile_offsets(residuals(3.0, count), 0.5)[:, 24]) for count in (96, 1512))
    assert young > 1.3 * old
