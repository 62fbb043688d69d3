"""Limits from block maxima."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.methods.spreads import Learned, caution
from services.detector.methods.value import narrower
from services.detector.tail import limit_for


def test_about_the_wanted_share_of_fresh_days_is_beyond_the_limit() -> None:
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(200):
        limit = limit_for(rng.gumbel(4.0, 0.7, 91), per_day=0.02)
        shares.append(float(np.mean(rng.gumbel(4.0, 0.7, 2000) > limit)))
    assert 0.004 < np.mean(shares) < 0.02


def test_a_few_events_in_the_past_do_not_lift_the_limit_out_of_sight() -> None:
    maxima = np.random.default_rng(6).gumbel(4.0, 0.7, 91)
    calm = limit_for(maxima, 0.02)
    maxima[:4] = 60.0
    assert limit_for(maxima, 0.02) < 1.25 * calm


def test_as_many_days_with_an_anomaly_as_were_wished_for_widen_it() -> None:
    maxima = np.sort(np.random.default_rng(7).gumbel(4.0, 0.7, 91))
    calm = limit_for(maxima, 0.02)
    maxima[-2:] = np.inf
    assert limit_for(maxima, 0.02) > 0.95 * calm
    assert limit_for(maxima[:-2], 0.02) < calm


def test_a_quarter_full_of_anomalies_does_not_lift_it_out_of_sight() -> None:
    maxima = np.random.default_rng(8).gumbel(4.0, 0.7, 91)
    calm = limit_for(maxima, 0.02)
    maxima[::5] = np.inf
    assert limit_for(maxima, 0.02) < 1.25 * calm


def test_a_high_rate_beside_many_anomalies_stays_near_what_calm_days_reach() -> None:
    maxima = np.random.default_rng(9).gumbel(3.0, 0.5, 79)
    maxima[::4] = np.inf
    assert limit_for(maxima, per_day=0.18) < 1.2 * np.max(maxima[np.isfinite(maxima)])


def test_a_high_rate_is_kept_too() -> None:
    maxima = np.random.default_rng(10).gumbel(3.0, 0.5, 180)
    limit = limit_for(maxima, per_day=0.2)
    assert np.mean(maxima > limit) == pytest.approx(0.2, abs=0.04)


def test_it_is_wider_with_fewer_days() -> None:
    limits = [limit_for(np.tile([3.0, 4.0, 5.0, 6.0], days), 0.02) for days in (1, 3, 20)]
    assert limits == sorted(limits, reverse=True)


def test_the_narrower_limits_of_two_memories_hold_in_parts_of_the_recent_ones() -> None:
    recent = Learned({"limit": 0.5, "up_60": 8.0, "down_60": 4.0}, {"scale": (1.0,) * 24})
    long = Learned({"limit": 1.0, "up_60": 3.0, "down_60": 5.0}, {"scale": (2.0,) * 24})
    found = narrower(recent, long)
    assert found == Learned({"limit": 0.5, "up_60": 6.0, "down_60": 4.0}, recent.profiles)
    assert narrower(recent, None) == recent
    assert narrower(None, long) is None


def test_limits_are_wide_after_a_day_and_as_they_were_set_after_three_months() -> None:
    wide = [caution(days) for days in (0, 1, 2, 7, 28, 77)]
    assert wide == sorted(wide, reverse=True)
    assert wide[1] > 4.0
    assert wide[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("maxima", [np.zeros(0), np.full(5, np.nan)])
def test_without_a_day_nothing_is_beyond_it(maxima: np.ndarray) -> None:
    assert limit_for(maxima, 0.02) == float("inf")
