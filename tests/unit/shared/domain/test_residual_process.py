from __future__ import annotations

import numpy as np
import pytest

from shared.domain import residual_process
from shared.domain.residual_process import FORECAST_HOURS, LONG_KERNEL, PAST_HOURS, SHORT_KERNEL, Kernel
from shared.domain.series import Floats

RESIDUALS = np.cumsum(np.random.default_rng(1).normal(0, 0.3, PAST_HOURS))
BOTH_KERNELS = pytest.mark.parametrize("kernel", [SHORT_KERNEL, LONG_KERNEL])


def make_residuals(hours: float, noise_share: float, count: int = 1512) -> Floats:
    """Return residuals with a decay time in hours, and a share of noise."""
    rng, decay = np.random.default_rng(3), np.exp(-1 / hours)
    values = np.zeros(count)
    for hour in range(1, count):
        values[hour] = decay * values[hour - 1] + rng.normal(0, np.sqrt(1 - decay**2))
    return np.asarray(values * np.sqrt(1 - noise_share) + rng.normal(0, np.sqrt(noise_share), count))


def test_newest_hours_have_the_largest_weight_which_fades_with_the_horizon() -> None:
    weights = residual_process.forecast_weights()
    assert weights.shape == (FORECAST_HOURS, PAST_HOURS)
    assert weights[0].argmax() == PAST_HOURS - 1
    assert weights[0, -1] > weights[3, -1] > weights[24, -1]


def test_daily_recurrence_is_expected_again() -> None:
    residuals = np.where(np.arange(PAST_HOURS) % 24 == 7, 3.0, 0.0)
    expected = residual_process.forecast_residuals(residuals, 0.0)
    assert expected[:24].argmax() == 7
    assert expected[7] > 4 * abs(expected[14])


@pytest.mark.parametrize("unknown", [5, 100, 200, 300])
def test_imputation_equals_kriging_from_known_hours_only(unknown: int) -> None:
    """Both branches of impute give the forecasts of kriging from the known hours only."""
    gaps = np.random.default_rng(2).choice(PAST_HOURS, unknown, replace=False)
    residuals = RESIDUALS.copy()
    residuals[gaps] = np.nan
    known = ~np.isnan(residuals)
    lags = np.abs(np.subtract.outer(np.arange(PAST_HOURS + FORECAST_HOURS), np.arange(PAST_HOURS)))[:, known].astype(
        float
    )
    covariance = residual_process._covariance(SHORT_KERNEL, lags)
    known_covariance = covariance[:PAST_HOURS][known] + SHORT_KERNEL.noise * np.eye(known.sum())
    assert residual_process.forecast_residuals(residuals, 0.0) == pytest.approx(
        covariance[PAST_HOURS:] @ np.linalg.solve(known_covariance, residuals[known])
    )


def test_no_known_residuals_give_zero() -> None:
    assert np.array_equal(
        residual_process.forecast_residuals(np.full(PAST_HOURS, np.nan), 0.5), np.zeros(FORECAST_HOURS)
    )


def test_kernels_contribute_by_their_share() -> None:
    short, half, long = (residual_process.forecast_residuals(RESIDUALS, share) for share in (0.0, 0.5, 1.0))
    lags = np.abs(np.subtract.outer(np.arange(PAST_HOURS + FORECAST_HOURS), np.arange(PAST_HOURS))).astype(float)
    covariance = residual_process._covariance(LONG_KERNEL, lags)
    by_long_kernel = covariance[PAST_HOURS:] @ np.linalg.solve(
        covariance[:PAST_HOURS] + LONG_KERNEL.noise * np.eye(PAST_HOURS), RESIDUALS
    )
    assert long[:3] == pytest.approx(by_long_kernel[:3])
    assert half == pytest.approx((short + long) / 2)


def test_long_kernel_fades_until_two_days_ahead() -> None:
    short, long = (residual_process.forecast_residuals(RESIDUALS, share) for share in (0.0, 1.0))
    weights = np.abs(residual_process.long_kernel_weights()[:, -1])
    assert weights[2] > weights[12] > weights[40] > 0
    assert np.array_equal(short[48:], long[48:])


def test_lasting_residuals_choose_the_long_kernel_and_noisy_ones_the_short() -> None:
    assert residual_process.long_kernel_share(make_residuals(6.0, 0.05)) > 0.7
    assert residual_process.long_kernel_share(make_residuals(1.5, 0.5)) < 0.3


def test_chosen_share_has_smaller_errors_than_either_kernel() -> None:
    residuals = make_residuals(2.5, 0.1)
    share = residual_process.long_kernel_share(residuals)
    short, added, actuals = residual_process.backtest(residuals, (0, 1, 2), 5)
    errors = {
        candidate_share: float(np.mean(np.abs(actuals - short - candidate_share * added)))
        for candidate_share in (0.0, share, 1.0)
    }
    assert 0 < share < 1
    assert errors[share] < min(errors[0.0], errors[1.0])


def test_share_is_the_prior_without_data_and_robust_to_outliers() -> None:
    assert residual_process.long_kernel_share(RESIDUALS) == residual_process.PRIOR_SHARE
    disturbed = make_residuals(6.0, 0.05)
    disturbed[::97] = 6.0
    disturbed[5::50] = np.nan
    assert residual_process.long_kernel_share(disturbed) > 0.6


def test_backtest_equals_forecasts_issued_then() -> None:
    residuals = make_residuals(6.0, 0.05, 700)
    short, added, actuals = residual_process.backtest(residuals, (0, 24, 72), 5)
    newest = len(residuals) - 73
    assert actuals[0] == pytest.approx(residuals[[newest, newest + 24, newest + 72]])
    assert short[0] == pytest.approx(residual_process.forecast_residuals(residuals[:newest], 0.0)[[0, 24, 72]])
    assert (short + added)[1] == pytest.approx(
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


@BOTH_KERNELS
def test_inverse_is_correct(kernel: Kernel) -> None:
    covariance = residual_process._past_covariance(kernel) + kernel.noise * np.eye(residual_process.PAST_HOURS)
    assert residual_process._precision(kernel) @ covariance == pytest.approx(
        np.eye(residual_process.PAST_HOURS), abs=1e-8
    )
