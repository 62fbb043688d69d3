"""Single minutes that stand out from both their neighbours."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from services.detector.methods import spikes
from services.detector.methods.spikes import Spikes
from services.detector.methods.spreads import Days
from tests.unit.services.detector.fakes import Forecasts, detector, opened, replay
from tests.unit.services.detector.site import DAY, MONDAY, SHAPES, make_site

RESIDUALS = np.random.default_rng(2).standard_normal((30, DAY))
EVERY = np.ones(30, dtype=np.bool_)


def running() -> Spikes:
    one = Spikes(spikes.learn(RESIDUALS, Days(EVERY, EVERY), 0.01, 0.01))
    one.open_day([0.1, -0.2])
    return one


@pytest.mark.parametrize("size", [40.0, -40.0])
def test_a_minute_that_comes_and_goes_is_told_a_minute_later(size: float) -> None:
    watch = running()
    assert [watch.take(value, 3) >= 1.0 for value in (0.3, size, -0.1)] == [False, False, True]
    assert watch.excess == pytest.approx(size, abs=1.0)
    assert watch.take(0.2, 3) < 1.0


def test_what_stays_is_no_spike() -> None:
    watch = running()
    assert not any(watch.take(value, 3) >= 1.0 for value in (0.3, 40.0, 40.2, 39.9, 0.1))


def test_behind_a_gap_there_is_no_neighbour() -> None:
    watch = running()
    watch.take(0.3, 3)
    watch.skip()
    assert [watch.take(value, 3) for value in (40.0, 0.1)] == [0.0, 0.0]
    assert math.isfinite(watch.take(0.2, 3))


def test_running_and_learning_see_the_same() -> None:
    watch = running()
    seen = [watch.take(value, 0) > 0.0 for value in RESIDUALS[0].tolist()]
    flagged = spikes.prominences(RESIDUALS[:1])[0] != 0.0
    assert seen[2:] == flagged[2:].tolist()


def test_a_spike_is_said_beside_a_step_that_is_open() -> None:
    site = make_site(SHAPES["homes"], 40, seed=12)
    site.burst(38 * DAY + 60, DAY, 0.6)
    site.wild("spike", 38 * DAY + 400, 1, 2.0)
    kinds = [
        one.kind
        for one in opened(replay(detector(), site.readings(), Forecasts()))
        if one.at >= MONDAY + timedelta(days=38)
    ]
    assert kinds[:2] == ["step", "spike"]
