from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from shared.domain import features, profile
from shared.domain.calendar import Calendar
from shared.domain.features import AHEAD_WIDTH, FAR, MEMORY, PAST, PAST_WIDTH, STEP, Scaler, inputs, outlook
from shared.domain.profile import AHEAD
from shared.domain.series import Floats
from shared.domain.weeks import MONDAY_HOUR

SCALER = Scaler(center=50.0, spread=20.0)
LOCAL = MONDAY_HOUR + 2900 * 168 + np.arange(MEMORY + AHEAD)
NOW = MEMORY


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
    """The same hours give the same look, whatever comes after them or lies before the nine weeks."""
    longer = np.concatenate([demand()[:400] * 5, demand()])
    local = np.concatenate([LOCAL[:400] - 400, LOCAL[:NOW]])
    long, short = inputs(longer, local, LOCAL[NOW : NOW + AHEAD], SCALER), look(demand())
    assert long is not None
    assert short is not None
    assert np.array_equal(long.past, short.past)
    assert np.array_equal(long.ahead, short.ahead)


def test_an_answer_of_zero_is_the_base_and_one_is_a_usual_deviation_more() -> None:
    seen = look(demand())
    assert seen is not None
    week = outlook(seen, np.tile([-1.0, 0.0, 1.0], (AHEAD, 1)))
    assert np.array_equal(week.p50, seen.base)
    assert week.p90 - week.p50 == pytest.approx(seen.scale)
    assert 3 < seen.scale.mean() < 5


def test_a_holiday_looks_another_way_than_a_working_day() -> None:
    values = demand() * np.where((LOCAL[:NOW] - MONDAY_HOUR) // 24 % 7 == 6, 0.5, 1.0)
    wednesday = date(1970, 1, 1) + timedelta(days=int(LOCAL[NOW]) // 24 + 2)
    working = inputs(values, LOCAL[:NOW], LOCAL[NOW:], SCALER)
    holiday = inputs(values, LOCAL[:NOW], LOCAL[NOW:], SCALER, Calendar(lambda _: [wednesday]))
    assert working is not None
    assert holiday is not None
    differs = (working.ahead != holiday.ahead).any(axis=1).reshape(-1)
    assert differs[24:96].all()
    assert not differs[:24].any()
    assert not differs[96:].any()
    assert holiday.base[48:72].sum() < 0.7 * working.base[48:72].sum()
