from __future__ import annotations

import numpy as np
import pytest

from shared.domain import kriging
from shared.domain.kriging import AHEAD, PAST

RESIDUALS = np.cumsum(np.random.default_rng(1).normal(0, 0.3, PAST))


def test_the_last_hours_count_most_for_the_next_ones_and_less_and_less_for_those_after() -> None:
    weights = kriging.gain()
    assert weights.shape == (AHEAD, PAST)
    assert weights[0].argmax() == PAST - 1
    assert weights[0, -1] > weights[3, -1] > weights[24, -1]


def test_what_comes_each_day_at_the_same_hour_is_expected_again() -> None:
    late = np.where(np.arange(PAST) % 24 == 7, 3.0, 0.0)
    foreseen = kriging.ahead(late)
    assert foreseen[:24].argmax() == 7
    assert foreseen[7] > 4 * abs(foreseen[14])


@pytest.mark.parametrize("unknown", [5, 100, 200, 300])
def test_gaps_are_filled_with_what_is_likely_however_many_there_are(unknown: int) -> None:
    """Whichever of the two sides is solved, the hours ahead are those of kriging from the known hours alone."""
    gaps = np.random.default_rng(2).choice(PAST, unknown, replace=False)
    residuals = RESIDUALS.copy()
    residuals[gaps] = np.nan
    known = ~np.isnan(residuals)
    apart = np.abs(np.subtract.outer(np.arange(PAST + AHEAD), np.arange(PAST)))[:, known].astype(float)
    covariance = kriging._covariance(apart)
    among = covariance[:PAST][known] + kriging.NOISE * np.eye(known.sum())
    assert kriging.ahead(residuals) == pytest.approx(covariance[PAST:] @ np.linalg.solve(among, residuals[known]))


def test_nothing_known_means_nothing_unusual() -> None:
    assert np.array_equal(kriging.ahead(np.full(PAST, np.nan)), np.zeros(AHEAD))


def test_errors_grow_with_the_horizon() -> None:
    assert kriging.spread()[-1] == 1
    assert 0.2 < kriging.spread()[0] < kriging.spread()[5] < kriging.spread()[167]


def test_the_inverse_is_one() -> None:
    covariance = kriging._among() + kriging.NOISE * np.eye(kriging.PAST)
    assert kriging._precision() @ covariance == pytest.approx(np.eye(kriging.PAST), abs=1e-9)
