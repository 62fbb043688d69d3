from __future__ import annotations

import numpy as np
import pytest

from shared.domain import residual_process, uncertainty
from shared.domain.series import Floats

HORIZONS = (0, 1, 3, 6, 12, 24, 72, 168)


def residuals(decay_hours: float, count: int) -> Floats:
    rng, decay = np.random.default_rng(5), np.exp(-1 / decay_hours)
    values = np.zeros(count)
    for hour in range(1, count):
        values[hour] = decay * values[hour - 1] + rng.normal(0, np.sqrt(1 - decay**2))
    return np.asarray(values)


def coverage(decay_hours: float) -> Floats:
    """Return the coverage by horizon: quantiles from nine weeks, checked on the next ten days."""
    all_hours, shares = residuals(decay_hours, 8000), []
    for now in range(1512, 7500, 240):
        known, future = (
            all_hours[now - 1512 : now],
            all_hours[now - residual_process.PAST_HOURS : now + 240 + residual_process.FORECAST_HOURS],
        )
        share = residual_process.long_kernel_share(known)
        low, high = uncertainty.quantile_offsets(known, share)[:, HORIZONS]
        short, added, actuals = residual_process.backtest(future, HORIZONS, 1)
        errors = actuals - short - share * added
        shares.append(np.mean((low <= errors) & (errors <= high), axis=0))
    return np.asarray(np.mean(shares, axis=0))


@pytest.mark.parametrize("decay_hours", [1.0, 5.0, 20.0])
def test_coverage_is_slightly_above_four_fifths_at_each_horizon(decay_hours: float) -> None:
    """Slightly above, since the in-sample correction applies to a profile, and here there is none."""
    assert coverage(decay_hours) == pytest.approx(np.full(len(HORIZONS), 0.84), abs=0.07)


def test_quantiles_widen_with_the_errors() -> None:
    low, high = uncertainty.quantile_offsets(residuals(3.0, 1512), 0.5)
    width = high - low
    assert width[0] < width[1] < width[3]
    assert width[7] == pytest.approx(width[150], rel=0.25)


def test_recent_volatility_moves_the_quantiles_partly_and_a_gap_does_not() -> None:
    known = residuals(3.0, 1512)
    changed = {factor: known * np.where(np.arange(1512) < 1512 - 168, 1.0, factor) for factor in (0.1, 3.0, np.nan)}
    calm, volatile, gap = (np.ptp(uncertainty.quantile_offsets(values, 0.5)[:, 24]) for values in changed.values())
    reference = np.ptp(uncertainty.quantile_offsets(known, 0.5)[:, 24])
    assert 0.6 * reference < calm < 0.9 * reference
    assert 1.1 * reference < volatile < 2.0 * reference
    assert gap == pytest.approx(reference, rel=0.15)


def test_quantiles_are_wider_after_a_few_days_than_after_weeks() -> None:
    young, old = (np.ptp(uncertainty.quantile_offsets(residuals(3.0, count), 0.5)[:, 24]) for count in (96, 1512))
    assert young > 1.3 * old
