from __future__ import annotations

import numpy as np
import pytest

from shared.domain import deviations, kriging
from shared.domain.series import Floats

HORIZONS = (0, 1, 3, 6, 12, 24, 72, 168)


def residuals(fades: float, count: int) -> Floats:
    rng, kept = np.random.default_rng(5), np.exp(-1 / fades)
    found = np.zeros(count)
    for one in range(1, count):
        found[one] = kept * found[one - 1] + rng.normal(0, np.sqrt(1 - kept**2))
    return np.asarray(found)


def covered(fades: float) -> Floats:
    """Share of the hours after nine weeks that lie where the nine weeks say, by hours ahead."""
    known, coming = np.split(residuals(fades, 8000), [1512])
    share = kriging.lasting(known)
    low, high = deviations.errors(known, share)[:, HORIZONS]
    brief, added, came = kriging.looking_back(coming, HORIZONS, 1)
    missed = came - brief - share * added
    return np.asarray(np.mean((low <= missed) & (missed <= high), axis=0))


@pytest.mark.parametrize("fades", [1.0, 5.0, 20.0])
def test_four_fifths_and_a_little_more_come_between_the_quantiles_at_each_horizon(fades: float) -> None:
    """A profile is nearer to its own weeks than to others, and here there is none: hence the little."""
    assert covered(fades) == pytest.approx(np.full(len(HORIZONS), 0.84), abs=0.07)


def test_quantiles_widen_as_far_as_errors_do_and_no_farther() -> None:
    low, high = deviations.errors(residuals(3.0, 1512), 0.5)
    width = high - low
    assert width[0] < width[1] < width[3]
    assert width[7] == pytest.approx(width[150], rel=0.25)


def test_after_a_few_days_the_quantiles_are_wider_than_after_weeks() -> None:
    young, old = (np.ptp(deviations.errors(residuals(3.0, count), 0.5)[:, 24]) for count in (96, 1512))
    assert young > 1.3 * old
