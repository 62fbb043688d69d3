from __future__ import annotations

import numpy as np
import pytest

from services.trainer.evaluation import decide, errors

TRUTH = np.random.default_rng(1).normal(10, 1, (50, 169))


def band(middle: float, width: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.broadcast_to(np.array([middle - width, middle, middle + width]), (50, 169, 3))


def test_errors_are_in_the_unit_of_the_channel() -> None:
    found = errors(np.full((50, 169), 10.0), band(12.0, 1.0))
    assert (found["mae"], found["mae_1h"], found["mae_168h"], found["coverage"]) == (2, 2, 2, 0)
    assert found["pinball"] == pytest.approx((0.9 * 1 + 0.5 * 2 + 0.1 * 3) / 3)


def test_eight_of_ten_hours_lie_in_the_right_band() -> None:
    assert errors(TRUTH, band(10, 1.2816))["coverage"] == pytest.approx(0.8, abs=0.01)


def test_unknown_hours_do_not_count() -> None:
    truth = TRUTH.copy()
    truth[:, 100:] = np.nan
    found = errors(truth, band(10, 1))
    assert found["mae"] == pytest.approx(np.abs(TRUTH[:, :100] - 10).mean())
    assert "mae_168h" not in found


def test_the_better_one_is_promoted_and_the_reason_names_its_rival() -> None:
    decision = decide(TRUTH, band(10, 1.3), band(11, 1.3), "the profile")
    assert decision.promoted
    assert decision.reason.startswith("better than the profile")
    assert decision.metrics["mae"] < decision.metrics["used_mae"]


@pytest.mark.parametrize("middle", [10.0, 11.0])
def test_an_equal_or_worse_one_is_not(middle: float) -> None:
    decision = decide(TRUTH, band(middle, 1.3), band(10, 1.3), "old")
    assert not decision.promoted
    assert decision.reason.startswith("not better than old")
