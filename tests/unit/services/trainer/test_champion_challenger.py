from __future__ import annotations

import numpy as np
import pytest

from services.trainer.champion_challenger import decide, error_metrics
from services.trainer.diebold_mariano import diebold_mariano_p_value
from shared.domain.series import Floats, Ints

TRUTH = np.random.default_rng(1).normal(10, 1, (50, 169))
WEEKS, HOURS = 4, 4 * 168 - 24
DAYS: Ints = np.arange(HOURS) // 24


def band(middle: float, width: float) -> Floats:
    return np.broadcast_to(np.array([middle - width, middle, middle + width]), (50, 169, 3))


def four_weeks(seed: int, *noises: float, far: float = 1.0) -> tuple[Floats, ...]:
    """What came in the 169 hours after each hour of four weeks, and forecasts that miss it by so much.

    Misses last: half of each hour's into the next, and a day's own; `far` times as large at 168 h for the first.
    """
    random = np.random.default_rng(seed)
    came = random.normal(10, 3, HOURS + 169)
    truth = np.stack([came[hour : hour + 169] for hour in range(HOURS)])
    truth[np.arange(HOURS)[:, None] + np.arange(169) >= WEEKS * 168] = np.nan
    found = []
    for place, noise in enumerate(noises):
        missed = np.repeat(random.normal(0, 0.5, (HOURS // 24 + 1, 169)), 24, axis=0)[:HOURS]
        missed = noise * (missed + random.normal(0, 1, (HOURS, 169)))
        if place == 0:
            missed[:, 150:] *= far
        middle = np.nan_to_num(truth, nan=10.0) + missed
        found.append(np.stack([middle - 1.3 * noise, middle, middle + 1.3 * noise], axis=-1))
    return truth, *found


def test_errors_are_in_the_unit_of_the_channel() -> None:
    found = error_metrics(np.full((50, 169), 10.0), band(12.0, 1.0))
    assert (found["mae"], found["mae_1h"], found["mae_168h"], found["coverage"]) == (2, 2, 2, 0)
    assert found["pinball"] == pytest.approx((0.9 * 1 + 0.5 * 2 + 0.1 * 3) / 3)


def test_eight_of_ten_hours_lie_in_the_right_band() -> None:
    assert error_metrics(TRUTH, band(10, 1.2816))["coverage"] == pytest.approx(0.8, abs=0.01)


def test_unknown_hours_do_not_count() -> None:
    truth = TRUTH.copy()
    truth[:, 100:] = np.nan
    found = error_metrics(truth, band(10, 1))
    assert found["mae"] == pytest.approx(np.abs(TRUTH[:, :100] - 10).mean())
    assert "mae_168h" not in found


def test_the_better_one_is_promoted_and_the_reason_names_its_rival() -> None:
    truth, better, worse = four_weeks(1, 1.0, 1.3)
    decision = decide(truth, better, worse, "the profile", DAYS)
    assert decision.promoted
    assert decision.reason.startswith("better than the profile")
    assert decision.metrics["mae"] < decision.metrics["used_mae"]
    assert decision.metrics["used_chance_1h"] < 0.01


@pytest.mark.parametrize("noise", [1.0, 1.3])
def test_an_equal_or_worse_one_is_not(noise: float) -> None:
    truth, used = four_weeks(1, 1.0)
    candidate = used if noise == 1.0 else four_weeks(2, 1.3)[1]
    decision = decide(truth, candidate, used, "old", DAYS)
    assert not decision.promoted
    assert decision.reason.startswith("not better than old")


def test_what_gains_less_than_a_hundredth_changes_nothing_however_sure_it_is() -> None:
    truth, used = four_weeks(3, 1.0)
    for part, promoted in ((0.995, False), (0.95, True)):
        candidate = truth[..., None] + part * (used - truth[..., None])
        decision = decide(truth, np.nan_to_num(candidate), np.nan_to_num(used), "old", DAYS)
        assert decision.promoted == promoted
        assert ("gains less than 1 % as a whole" in decision.reason) != promoted


def test_what_is_better_as_a_whole_but_surely_worse_at_one_horizon_is_refused() -> None:
    truth, candidate, used = four_weeks(3, 0.7, 1.0, far=2.5)
    decision = decide(truth, candidate, used, "old", DAYS)
    assert not decision.promoted
    assert "surely worse than old at 168 h" in decision.reason


def test_what_is_better_than_the_model_in_use_but_worse_than_the_profile_is_refused() -> None:
    truth, candidate, used, usual = four_weeks(4, 1.0, 1.5, 0.6)
    decision = decide(truth, candidate, used, "old", DAYS, usual)
    assert not decision.promoted
    assert "surely worse than the profile at 1 h, 24 h" in decision.reason
    assert decision.metrics["profile_mae_24h"] < decision.metrics["mae_24h"] < decision.metrics["used_mae_24h"]


@pytest.mark.parametrize(("gain", "least", "most"), [(-0.05, 0, 0), (0.0, 0, 2), (0.2, 18, 20)])
def test_noise_rarely_changes_the_model_and_a_true_gain_mostly_does(gain: float, least: int, most: int) -> None:
    tries = [four_weeks(seed, 1 - gain, 1.0, 1.6) for seed in range(20)]
    promoted = [decide(truth, own, used, "old", DAYS, usual).promoted for truth, own, used, usual in tries]
    assert least <= sum(promoted) <= most


@pytest.mark.parametrize(("gain", "least", "most"), [(0.05, 10, 20), (-0.05, 0, 0)])
def test_the_profile_gives_way_to_what_is_likely_better_and_never_to_what_is_worse(
    gain: float, least: int, most: int
) -> None:
    tries = [four_weeks(seed, 1 - gain, 1.0) for seed in range(20)]
    assert least <= sum(decide(truth, own, usual, "the profile", DAYS).promoted for truth, own, usual in tries) <= most


def test_the_hours_of_one_day_are_no_evidence_of_their_own() -> None:
    hours = np.random.default_rng(5).normal(-0.15, 1.0, 480)
    days = np.repeat(np.random.default_rng(6).normal(-0.15, 1.0, 20), 24)
    assert diebold_mariano_p_value(hours, np.arange(480) // 24, 1) < 0.05
    assert 0.05 < diebold_mariano_p_value(days, np.arange(480) // 24, 1) < 0.95


def test_few_days_and_equal_forecasts_tell_nothing_and_a_mirror_turns_the_chance_round() -> None:
    differences = np.random.default_rng(7).normal(-0.2, 1.0, 480)
    days = np.arange(480) // 24
    assert diebold_mariano_p_value(differences[:96], days[:96], 1) == 0.5
    assert diebold_mariano_p_value(0 * differences, days, 24) == 0.5
    assert diebold_mariano_p_value(-differences, days, 24) == pytest.approx(
        1 - diebold_mariano_p_value(differences, days, 24)
    )
    differences[::2] = np.nan
    assert 0 < diebold_mariano_p_value(differences, days, 168) < 1
