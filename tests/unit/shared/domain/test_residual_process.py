from __future__ import annotations

import numpy as np
import pytest

from shared.domain import residual_process
from shared.domain.residual_process import FORECAST_HOURS, LONG_KERNEL, PAST_HOURS, SHORT_KERNEL, Kernel
from shared.domain.series import Floats

RESIDUALS = np.cumsum(np.random.default_rng(1).normal(0, 0.3, PAST_HOURS))
BOTH = pytest.mark.parametrize("memory", [SHORT_KERNEL, LONG_KERNEL])


def lasting_for(hours: float, share_of_noise: float, count: int = 1512) -> Floats:
    """Residuals that fade within so many hours, and noise that doesn't last."""
    rng, kept = np.random.default_rng(3), np.exp(-1 / hours)
    found = np.zeros(count)
    for one in range(1, count):
        found[one] = kept * found[one - 1] + rng.normal(0, np.sqrt(1 - kept**2))
    return np.asarray(found * np.sqrt(1 - share_of_noise) + rng.normal(0, np.sqrt(share_of_noise), count))


def test_the_last_hours_count_most_for_the_next_ones_and_less_and_less_for_those_after() -> None:
    weights = residual_process.forecast_weights()
    assert weights.shape == (FORECAST_HOURS, PAST_HOURS)
    assert weights[0].argmax() == PAST_HOURS - 1
    assert weights[0, -1] > weights[3, -1] > weights[24, -1]


def test_what_comes_each_day_at_the_same_hour_is_expected_again() -> None:
    late = np.where(np.arange(PAST_HOURS) % 24 == 7, 3.0, 0.0)
    foreseen = residual_process.forecast_residuals(late, 0.0)
    assert foreseen[:24].argmax() == 7
    assert foreseen[7] > 4 * abs(foreseen[14])


@pytest.mark.parametrize("unknown", [5, 100, 200, 300])
def test_gaps_are_filled_with_what_is_likely_however_many_there_are(unknown: int) -> None:
    """Whichever of the two sides is solved, the hours ahead are those of kriging from the known hours alone."""
    gaps = np.random.default_rng(2).choice(PAST_HOURS, unknown, replace=False)
    residuals = RESIDUALS.copy()
    residuals[gaps] = np.nan
    known = ~np.isnan(residuals)
    apart = np.abs(np.subtract.outer(np.arange(PAST_HOURS + FORECAST_HOURS), np.arange(PAST_HOURS)))[:, known].astype(
        float
    )
    covariance = residual_process._covariance(SHORT_KERNEL, apart)
    among = covariance[:PAST_HOURS][known] + SHORT_KERNEL.noise * np.eye(known.sum())
    assert residual_process.forecast_residuals(residuals, 0.0) == pytest.approx(
        covariance[PAST_HOURS:] @ np.linalg.solve(among, residuals[known])
    )


def test_nothing_known_means_nothing_unusual() -> None:
    assert np.array_equal(
        residual_process.forecast_residuals(np.full(PAST_HOURS, np.nan), 0.5), np.zeros(FORECAST_HOURS)
    )


def test_each_memory_foresees_by_its_share() -> None:
    brief, half, long = (residual_process.forecast_residuals(RESIDUALS, share) for share in (0.0, 0.5, 1.0))
    apart = np.abs(np.subtract.outer(np.arange(PAST_HOURS + FORECAST_HOURS), np.arange(PAST_HOURS))).astype(float)
    covariance = residual_process._covariance(LONG_KERNEL, apart)
    alone = covariance[PAST_HOURS:] @ np.linalg.solve(
        covariance[:PAST_HOURS] + LONG_KERNEL.noise * np.eye(PAST_HOURS), RESIDUALS
    )
    assert long[:3] == pytest.approx(alone[:3])
    assert half == pytest.approx((brief + long) / 2)


def test_the_long_memory_counts_less_the_farther_and_nothing_two_days_ahead() -> None:
    brief, long = (residual_process.forecast_residuals(RESIDUALS, share) for share in (0.0, 1.0))
    weights = np.abs(residual_process.long_kernel_weights()[:, -1])
    assert weights[2] > weights[12] > weights[40] > 0
    assert np.array_equal(brief[48:], long[48:])


def test_a_site_whose_residuals_last_for_hours_takes_the_long_memory_and_a_noisy_one_the_brief() -> None:
    assert residual_process.long_kernel_share(lasting_for(6.0, 0.05)) > 0.7
    assert residual_process.long_kernel_share(lasting_for(1.5, 0.5)) < 0.3


def test_the_share_that_is_taken_foresees_the_next_hour_better_than_either_memory() -> None:
    residuals = lasting_for(2.5, 0.1)
    share = residual_process.long_kernel_share(residuals)
    brief, added, came = residual_process.backtest(residuals, (0, 1, 2), 5)
    missed = {one: float(np.mean(np.abs(came - brief - one * added))) for one in (0.0, share, 1.0)}
    assert 0 < share < 1
    assert missed[share] < min(missed[0.0], missed[1.0])


def test_with_little_known_the_share_is_a_belief_and_outliers_bend_it_little() -> None:
    assert residual_process.long_kernel_share(RESIDUALS) == residual_process.PRIOR_SHARE
    spoiled = lasting_for(6.0, 0.05)
    spoiled[::97] = 6.0
    spoiled[5::50] = np.nan
    assert residual_process.long_kernel_share(spoiled) > 0.6


def test_what_is_looked_back_at_is_what_would_have_been_foreseen_then() -> None:
    residuals = lasting_for(6.0, 0.05, 700)
    brief, added, came = residual_process.backtest(residuals, (0, 24, 72), 5)
    newest = len(residuals) - 73
    assert came[0] == pytest.approx(residuals[[newest, newest + 24, newest + 72]])
    assert brief[0] == pytest.approx(residual_process.forecast_residuals(residuals[:newest], 0.0)[[0, 24, 72]])
    assert (brief + added)[1] == pytest.approx(
        residual_process.forecast_residuals(residuals[: newest - 5], 1.0)[[0, 24, 72]]
    )


def test_errors_grow_with_the_horizon() -> None:
    assert residual_process.forecast_std()[-1] == 1
    assert (
        0.2
        < residual_process.forecast_std()[0]
        < residual_process.forecast_std()[5]
        < residual_process.forecast_std()[167]
    )


@BOTH
def test_the_inverse_is_one(memory: Kernel) -> None:
    covariance = residual_process._past_covariance(memory) + memory.noise * np.eye(residual_process.PAST_HOURS)
    assert residual_process._precision(memory) @ covariance == pytest.approx(
        np.eye(residual_process.PAST_HOURS), abs=1e-8
    )
