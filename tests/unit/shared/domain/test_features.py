from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from shared.domain import features, profile_forecast
from shared.domain.features import (
    AHEAD_FEATURES,
    CLIP_STD,
    ENCODER_HOURS,
    ENCODER_STEP_HOURS,
    LOOKBACK_HOURS,
    PAST_FEATURES,
    Scaler,
    build_inputs,
    to_quantiles,
)
from shared.domain.holiday_calendar import HolidayCalendar
from shared.domain.hour_of_week import EPOCH_MONDAY_HOUR
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats

SCALER = Scaler(center=50.0, spread=20.0)
LOCAL = EPOCH_MONDAY_HOUR + 2900 * 168 + np.arange(LOOKBACK_HOURS + FORECAST_HOURS)
NOW = LOOKBACK_HOURS


def demand() -> Floats:
    noise = np.random.default_rng(1).normal(0, 4, NOW)
    return np.asarray(50 + 20 * np.sin(LOCAL[:NOW] * np.pi / 12) + noise, dtype=np.float64)


def make_inputs(values: Floats) -> features.ModelInputs | None:
    return build_inputs(values, LOCAL[:NOW], LOCAL[NOW : NOW + FORECAST_HOURS], SCALER)


def test_arrays_have_the_shapes_that_the_network_takes() -> None:
    seen = make_inputs(demand())
    assert seen is not None
    assert seen.past.shape == (ENCODER_HOURS // ENCODER_STEP_HOURS, PAST_FEATURES)
    assert seen.ahead.shape == (FORECAST_HOURS, AHEAD_FEATURES)
    assert seen.past.dtype == seen.ahead.dtype == np.float32


def test_the_base_is_the_forecast_of_the_profile() -> None:
    values = demand()
    seen, usual = make_inputs(values), profile_forecast.fit(values, LOCAL[:NOW])
    assert seen is not None
    assert usual is not None
    assert seen.base == pytest.approx(profile_forecast.forecast(usual, LOCAL[NOW : NOW + FORECAST_HOURS]).p50)


def test_a_gap_is_masked_and_never_nan() -> None:
    values = demand()
    values[-10:-4] = np.nan
    seen = make_inputs(values)
    assert seen is not None
    assert np.isfinite(seen.past).all()
    assert np.isfinite(seen.ahead).all()
    assert seen.past[:, ENCODER_STEP_HOURS:].sum() == ENCODER_HOURS - 6


def test_too_little_known_of_the_last_two_weeks_gives_no_look() -> None:
    values = demand()
    values[-ENCODER_HOURS : -ENCODER_HOURS // 2] = np.nan
    assert make_inputs(values) is None
    assert make_inputs(demand()[-ENCODER_HOURS + 1 :]) is None


def test_a_fault_is_cut_before_it_reaches_the_network() -> None:
    values = demand()
    values[-3] = 1e6
    seen = make_inputs(values)
    assert seen is not None
    assert np.abs(seen.past).max() <= CLIP_STD


def test_only_the_past_is_seen() -> None:
    """The same hours give the same look, whatever comes after them or lies before the nine weeks."""
    longer = np.concatenate([demand()[:400] * 5, demand()])
    local = np.concatenate([LOCAL[:400] - 400, LOCAL[:NOW]])
    long, short = build_inputs(longer, local, LOCAL[NOW : NOW + FORECAST_HOURS], SCALER), make_inputs(demand())
    assert long is not None
    assert short is not None
    assert np.array_equal(long.past, short.past)
    assert np.array_equal(long.ahead, short.ahead)


def test_an_answer_of_zero_is_the_base_and_one_is_a_usual_deviation_more() -> None:
    seen = make_inputs(demand())
    assert seen is not None
    week = to_quantiles(seen, np.tile([-1.0, 0.0, 1.0], (FORECAST_HOURS, 1)))
    assert np.array_equal(week.p50, seen.base)
    assert week.p90 - week.p50 == pytest.approx(seen.scale)
    assert 3 < seen.scale.mean() < 5


def test_a_holiday_looks_another_way_than_a_working_day() -> None:
    values = demand() * np.where((LOCAL[:NOW] - EPOCH_MONDAY_HOUR) // 24 % 7 == 6, 0.5, 1.0)
    wednesday = date(1970, 1, 1) + timedelta(days=int(LOCAL[NOW]) // 24 + 2)
    working = build_inputs(values, LOCAL[:NOW], LOCAL[NOW:], SCALER)
    holiday = build_inputs(values, LOCAL[:NOW], LOCAL[NOW:], SCALER, HolidayCalendar(lambda _: [wednesday]))
    assert working is not None
    assert holiday is not None
    differs = (working.ahead != holiday.ahead).any(axis=1).reshape(-1)
    assert differs[24:96].all()
    assert not differs[:24].any()
    assert not differs[96:].any()
    assert holiday.base[48:72].sum() < 0.7 * working.base[48:72].sum()
