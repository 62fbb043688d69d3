"""Limits from daily maxima."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.methods.level_shift import tighten_limits
from services.detector.methods.standardise import Parameters, small_sample_factor
from services.detector.threshold import threshold_for_rate


def test_share_of_new_days_above_limit_is_near_target() -> None:
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(200):
        limit = threshold_for_rate(rng.gumbel(4.0, 0.7, 91), per_day=0.02)
        shares.append(float(np.mean(rng.gumbel(4.0, 0.7, 2000) > limit)))
    assert 0.004 < np.mean(shares) < 0.02


def test_few_past_events_hardly_raise_limit() -> None:
    maxima = np.random.default_rng(6).gumbel(4.0, 0.7, 91)
    reference_maxima = threshold_for_rate(maxima, 0.02)
    maxima[:4] = 60.0
    assert threshold_for_rate(maxima, 0.02) < 1.25 * reference_maxima


def test_anomalous_days_within_budget_raise_limit() -> None:
    maxima = np.sort(np.random.default_rng(7).gumbel(4.0, 0.7, 91))
    reference_maxima = threshold_for_rate(maxima, 0.02)
    maxima[-2:] = np.inf
    assert threshold_for_rate(maxima, 0.02) > 0.95 * reference_maxima
    assert threshold_for_rate(maxima[:-2], 0.02) < reference_maxima


def test_many_anomalous_days_hardly_raise_limit() -> None:
    maxima = np.random.default_rng(8).gumbel(4.0, 0.7, 91)
    reference_maxima = threshold_for_rate(maxima, 0.02)
    maxima[::5] = np.inf
    assert threshold_for_rate(maxima, 0.02) < 1.25 * reference_maxima


def test_high_rate_with_many_anomalies_stays_near_reference_maxima() -> None:
    maxima = np.random.default_rng(9).gumbel(3.0, 0.5, 79)
    maxima[::4] = np.inf
    assert threshold_for_rate(maxima, per_day=0.18) < 1.2 * np.max(maxima[np.isfinite(maxima)])


def test_high_rate_is_met() -> None:
    maxima = np.random.default_rng(10).gumbel(3.0, 0.5, 180)
    limit = threshold_for_rate(maxima, per_day=0.2)
    assert np.mean(maxima > limit) == pytest.approx(0.2, abs=0.04)


def test_limit_is_wider_with_fewer_days() -> None:
    limits = [threshold_for_rate(np.tile([3.0, 4.0, 5.0, 6.0], days), 0.02) for days in (1, 3, 20)]
    assert limits == sorted(limits, reverse=True)


def test_tightened_limits_are_relative_to_recent_limit() -> None:
    recent = Parameters({"limit": 0.5, "up_60": 8.0, "down_60": 4.0}, {"scale": (1.0,) * 24})
    long = Parameters({"limit": 1.0, "up_60": 3.0, "down_60": 5.0}, {"scale": (2.0,) * 24})
    tightened = tighten_limits(recent, long)
    assert tightened == Parameters({"limit": 0.5, "up_60": 6.0, "down_60": 4.0}, recent.profiles)
    assert tighten_limits(recent, None) == recent
    assert tighten_limits(None, long) is None


def test_small_sample_factor_falls_to_one_in_three_months() -> None:
    wide = [small_sample_factor(days) for days in (0, 1, 2, 7, 28, 77)]
    assert wide == sorted(wide, reverse=True)
    assert wide[1] > 4.0
    assert wide[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("maxima", [np.zeros(0), np.full(5, np.nan)])
def test_limit_is_infinite_without_days(maxima: np.ndarray) -> None:
    assert threshold_for_rate(maxima, 0.02) == float("inf")
