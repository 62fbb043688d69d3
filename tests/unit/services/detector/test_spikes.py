"""Spikes of single minutes."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from services.detector.methods import spikes
from services.detector.methods.spikes import SpikeDetector
from services.detector.methods.standardise import DayMask
from tests.unit.services.detector.fakes import learned_site, opened
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, make_site

RESIDUALS = np.random.default_rng(2).standard_normal((30, DAY))
ALL_DAYS = np.ones(30, dtype=np.bool_)


def running() -> SpikeDetector:
    value = SpikeDetector(spikes.fit(RESIDUALS, DayMask(ALL_DAYS, ALL_DAYS), 0.01, 0.01))
    value.start_day([0.1, -0.2])
    return value


@pytest.mark.parametrize("height", [40.0, -40.0])
def test_spike_is_flagged_one_minute_later(height: float) -> None:
    detector = running()
    assert [detector.update(value, 3) >= 1.0 for value in (0.3, height, -0.1)] == [False, False, True]
    assert detector.prominence == pytest.approx(height, abs=1.0)
    assert detector.update(0.2, 3) < 1.0


def test_step_is_no_spike() -> None:
    detector = running()
    assert not any(detector.update(value, 3) >= 1.0 for value in (0.3, 40.0, 40.2, 39.9, 0.1))


def test_value_after_gap_is_no_spike() -> None:
    detector = running()
    detector.update(0.3, 3)
    detector.skip()
    assert [detector.update(value, 3) for value in (40.0, 0.1)] == [0.0, 0.0]
    assert math.isfinite(detector.update(0.2, 3))


def test_running_and_fitted_prominences_agree() -> None:
    detector = running()
    running_values = [detector.update(value, 0) > 0.0 for value in RESIDUALS[0].tolist()]
    flagged = spikes.prominences(RESIDUALS[:1])[0] != 0.0
    assert running_values[2:] == flagged[2:].tolist()


def test_spike_opens_beside_open_step() -> None:
    site = make_site(SHAPES["homes"], 40, seed=12)
    site.burst(38 * DAY + 60, DAY, 0.6)
    site.scale("spike", 38 * DAY + 400, 1, 2.0)
    messages = learned_site("homes", 40, 12, 37 * DAY + 1).replay(site.readings(37 * DAY + 1))
    kinds = [anomaly.kind for anomaly in opened(messages) if anomaly.at >= MONDAY + timedelta(days=38)]
    assert kinds[:2] == ["step", "spike"]
