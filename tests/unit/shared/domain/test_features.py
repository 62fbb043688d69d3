from __future__ import annotations

import numpy as np
import pytest

from shared.domain import features, profile
from shared.domain.features import AHEAD_WIDTH, FAR, PAST, PAST_WIDTH, STEP, Scaler, inputs, outlook
from shared.domain.profile import AHEAD, MONDAY_HOUR
from shared.domain.series import Floats

SCALER = Scaler(center=50.0, spread=20.0, residual=4.0)
LOCAL = MONDAY_HOUR + 2900 * 168 + np.arange(6 * 168 + AHEAD)
NOW = 6 * 168


def demand() -> Floats:
    noise = np.random.default_rng(1).normal(0, 4, NOW)
    return np.asarray(50 + 20 * np.sin(LOCAL[:NOW] * np.pi / 12) + noise, dtype=np.float64)


def look(values: Floats) -> features.Inputs | None:
    return inputs(values, LOCAL[:NOW], LOCAL[NOW : NOW + AHEAD], SCALER)


def test_arrays_have_the_shapes_that_the_network_takes() -> None:
    seen = look(demand())
    assert seen is not None
    assert seen.past.shape == (PAST // STEP, PAST_WIDTH)
    assert seen.ahead.shape == (AHEAD, AHEAD_WIDTH)
    assert seen.past.dtype == seen.ahead.dtype == np.float32


def test_the_base_is_the_forecast_of_the_profile() -> None:
    values = demand()
    seen, usual = look(values), profile.learn(values, LOCAL[:NOW])
    assert seen is not None
    assert usual is not None
    assert seen.base == pytest.approx(profile.forecast(usual, LOCAL[NOW : NOW + AHEAD]).p50)


def test_a_gap_is_masked_and_never_nan() -> None:
    values = demand()
    values[-10:-4] = np.nan
    seen = look(values)
    assert seen is not None
    assert np.isfinite(seen.past).all()
    assert np.isfinite(seen.ahead).all()
    assert seen.past[:, STEP:].sum() == PAST - 6


def test_too_little_known_of_the_last_two_weeks_gives_no_look() -> None:
    values = demand()
    values[-PAST : -PAST // 2] = np.nan
    assert look(values) is None
    assert look(demand()[-PAST + 1 :]) is None


def test_a_fault_is_cut_before_it_reaches_the_network() -> None:
    values = demand()
    values[-3] = 1e6
    seen = look(values)
    assert seen is not None
    assert np.abs(seen.past).max() <= FAR


def test_only_the_past_is_seen() -> None:
    """The same hours give the same look, whatever comes after them or lies before the six weeks."""
    longer = np.concatenate([demand()[:400] * 5, demand()])
    local = np.concatenate([LOCAL[:400] - 400, LOCAL[:NOW]])
    long, short = inputs(longer, local, LOCAL[NOW : NOW + AHEAD], SCALER), look(demand())
    assert long is not None
    assert short is not None
    assert np.array_equal(long.past, short.past)
    assert np.array_equal(long.ahead, short.ahead)


def test_an_answer_of_zero_is_the_base() -> None:
    base = np.linspace(1.0, 2.0, AHEAD)
    week = outlook(base, np.zeros((AHEAD, 3)), SCALER)
    assert np.array_equal(week.p50, base)
