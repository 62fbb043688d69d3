from __future__ import annotations

import numpy as np
import pytest

from services.trainer.champion_challenger import PROFILE_NAME, decide, error_metrics
from services.trainer.diebold_mariano import diebold_mariano_p_value
from shared.contract.texts import technical
from shared.domain.series import Floats, Ints

TRUTH = np.random.default_rng(1).normal(10, 1, (50, 169))
WEEKS, HOURS = 4, 4 * 168 - 24
DAYS: Ints = np.arange(HOURS) // 24
OLD = technical("old")


def band(p50: float, width: float) -> Floats:
    return np.broadcast_to(np.array([p50 - width, p50, p50 + width]), (50, 169, 3))


def four_weeks(seed: int, *noises: float, far_factor: float = 1.0) -> tuple[Floats, ...]:
    """Return actuals (n, 169) of four weeks and a forecast (n, 169, 3) for each noise.

    Errors are correlated within a day; those of the first forecast are `far_factor` times as large at 168 h.
    """
    random = np.random.default_rng(seed)
    values = random.normal(10, 3, HOURS + 169)
    truth = np.stack([values[hour : hour + 169] for hour in range(HOURS)])
    truth[np.arange(HOURS)[:, None] + np.arange(169) >= WEEKS * 168] = np.nan
    forecasts = []
    for index, noise in enumerate(noises):
        errors = np.repeat(random.normal(0, 0.5, (HOURS // 24 + 1, 169)), 24, axis=0)[:HOURS]
        errors = noise * (errors + random.normal(0, 1, (HOURS, 169)))
        if index == 0:
            errors[:, 150:] *= far_factor
        p50 = np.nan_to_num(truth, nan=10.0) + errors
        forecasts.append(np.stack([p50 - 1.3 * noise, p50, p50 + 1.3 * noise], axis=-1))
    return truth, *forecasts


def test_error_metrics_are_in_the_unit_of_the_channel() -> None:
    metrics = error_metrics(np.full((50, 169), 10.0), band(12.0, 1.0))
    assert (metrics["mae"], metrics["mae_1h"], metrics["mae_168h"], metrics["coverage"]) == (2, 2, 2, 0)
    assert metrics["pinball"] == pytest.approx((0.9 * 1 + 0.5 * 2 + 0.1 * 3) / 3)


def test_coverage_of_a_correct_band_is_eight_of_ten() -> None:
    assert error_metrics(TRUTH, band(10, 1.2816))["coverage"] == pytest.approx(0.8, abs=0.01)


def test_unknown_hours_do_not_count() -> None:
    truth = TRUTH.copy()
    truth[:, 100:] = np.nan
    metrics = error_metrics(truth, band(10, 1))
    assert metrics["mae"] == pytest.approx(np.abs(TRUTH[:, :100] - 10).mean())
    assert "mae_168h" not in metrics


def test_better_candidate_is_promoted_and_reason_names_its_rival() -> None:
    truth, better, worse = four_weeks(1, 1.0, 1.3)
    decision = decide(truth, better, worse, PROFILE_NAME, DAYS)
    assert decision.promoted
    assert decision.reason.en.startswith("better than the profile on 648 holdout hours: pinball loss x 0.")
    assert decision.reason.ko.startswith("평가 기간 648시간에서 프로파일보다 낫습니다: 핀볼 손실 0.")
    assert decision.metrics["mae"] < decision.metrics["used_mae"]
    assert decision.metrics["used_chance_1h"] < 0.01


@pytest.mark.parametrize("noise", [1.0, 1.3])
def test_equal_or_worse_candidate_is_refused(noise: float) -> None:
    truth, champion = four_weeks(1, 1.0)
    candidate = champion if noise == 1.0 else four_weeks(2, 1.3)[1]
    decision = decide(truth, candidate, champion, OLD, DAYS)
    assert not decision.promoted
    assert decision.reason.en.startswith("not better than old")


def test_gain_below_one_percent_is_refused_even_if_significant() -> None:
    truth, champion = four_weeks(3, 1.0)
    for part, promoted in ((0.995, False), (0.95, True)):
        candidate = truth[..., None] + part * (champion - truth[..., None])
        decision = decide(truth, np.nan_to_num(candidate), np.nan_to_num(champion), OLD, DAYS)
        assert decision.promoted == promoted
        assert ("the overall gain is below 1 %" in decision.reason.en) != promoted


def test_candidate_better_overall_but_worse_at_one_horizon_is_refused() -> None:
    truth, candidate, champion = four_weeks(3, 0.7, 1.0, far_factor=2.5)
    decision = decide(truth, candidate, champion, OLD, DAYS)
    assert not decision.promoted
    assert "significantly worse than old at 168 h" in decision.reason.en


def test_candidate_better_than_champion_but_worse_than_profile_is_refused() -> None:
    truth, candidate, champion, profile = four_weeks(4, 1.0, 1.5, 0.6)
    decision = decide(truth, candidate, champion, OLD, DAYS, profile)
    assert not decision.promoted
    assert "significantly worse than the profile at 1 h, 24 h" in decision.reason.en
    assert "1시간, 24시간, 168시간 앞 예측은 프로파일보다 유의하게 나쁩니다" in decision.reason.ko
    assert decision.metrics["profile_mae_24h"] < decision.metrics["mae_24h"] < decision.metrics["used_mae_24h"]


@pytest.mark.parametrize(("gain", "fewest", "most"), [(-0.05, 0, 0), (0.0, 0, 2), (0.2, 18, 20)])
def test_noise_is_rarely_promoted_and_a_true_gain_mostly(gain: float, fewest: int, most: int) -> None:
    trials = [four_weeks(seed, 1 - gain, 1.0, 1.6) for seed in range(20)]
    promoted = [
        decide(truth, candidate, champion, OLD, DAYS, profile).promoted
        for truth, candidate, champion, profile in trials
    ]
    assert fewest <= sum(promoted) <= most


@pytest.mark.parametrize(("gain", "fewest", "most"), [(0.05, 10, 20), (-0.05, 0, 0)])
def test_profile_is_replaced_by_a_likely_gain_and_never_by_a_worse_candidate(
    gain: float, fewest: int, most: int
) -> None:
    trials = [four_weeks(seed, 1 - gain, 1.0) for seed in range(20)]
    assert (
        fewest
        <= sum(decide(truth, candidate, profile, PROFILE_NAME, DAYS).promoted for truth, candidate, profile in trials)
        <= most
    )


def test_hours_of_one_day_are_not_independent() -> None:
    hours = np.random.default_rng(5).normal(-0.15, 1.0, 480)
    days = np.repeat(np.random.default_rng(6).normal(-0.15, 1.0, 20), 24)
    assert diebold_mariano_p_value(hours, np.arange(480) // 24, 1) < 0.05
    assert 0.05 < diebold_mariano_p_value(days, np.arange(480) // 24, 1) < 0.95


def test_p_value_is_one_half_without_evidence_and_symmetric() -> None:
    differences = np.random.default_rng(7).normal(-0.2, 1.0, 480)
    days = np.arange(480) // 24
    assert diebold_mariano_p_value(differences[:96], days[:96], 1) == 0.5
    assert diebold_mariano_p_value(0 * differences, days, 24) == 0.5
    assert diebold_mariano_p_value(-differences, days, 24) == pytest.approx(
        1 - diebold_mariano_p_value(differences, days, 24)
    )
    differences[::2] = np.nan
    assert 0 < diebold_mariano_p_value(differences, days, 168) < 1
