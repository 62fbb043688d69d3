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


def test_arrays_have_the_network_input_shapes() -> None:
    inputs = make_inputs(demand())
    assert inputs is not None
    assert inputs.past.shape == (ENCODER_HOURS // ENCODER_STEP_HOURS, PAST_FEATURES)
    assert inputs.ahead.shape == (FORECAST_HOURS, AHEAD_FEATURES)
    assert inputs.past.dtype == inputs.ahead.dtype == np.float32


def test_base_is_the_profile_forecast() -> None:
    values = demand()
    inputs, fitted = make_inputs(values), profile_forecast.fit(values, LOCAL[:NOW])
    assert inputs is not None
    assert fitted is not None
    assert inputs.base == pytest.approx(profile_forecast.forecast(fitted, LOCAL[NOW : NOW + FORECAST_HOURS]).p50)


def test_gap_is_masked_and_never_nan() -> None:
    values = demand()
    values[-10:-4] = np.nan
    inputs = make_inputs(values)
    assert inputs is not None
    assert np.isfinite(inputs.past).all()
    assert np.isfinite(inputs.ahead).all()
    assert inputs.past[:, ENCODER_STEP_HOURS:].sum() == ENCODER_HOURS - 6


def test_too_little_known_data_gives_no_inputs() -> None:
    values = demand()
    values[-ENCODER_HOURS : -ENCODER_HOURS // 2] = np.nan
    assert make_inputs(values) is None
    assert make_inputs(demand()[-ENCODER_HOURS + 1 :]) is None


def test_outlier_is_clipped() -> None:
    values = demand()
    values[-3] = 1e6
    inputs = make_inputs(values)
    assert inputs is not None
    assert np.abs(inputs.past).max() <= CLIP_STD


def test_inputs_depend_only_on_the_past() -> None:
    """The same hours give the same inputs, whatever is before the nine weeks."""
    longer = np.concatenate([demand()[:400] * 5, demand()])
    local = np.concatenate([LOCAL[:400] - 400, LOCAL[:NOW]])
    long, short = build_inputs(longer, local, LOCAL[NOW : NOW + FORECAST_HOURS], SCALER), make_inputs(demand())
    assert long is not None
    assert short is not None
    assert np.array_equal(long.past, short.past)
    assert np.array_equal(long.ahead, short.ahead)


def test_output_zero_is_the_base_and_one_is_one_standard_deviation_more() -> None:
    inputs = make_inputs(demand())
    assert inputs is not None
    week = to_quantiles(inputs, np.tile([-1.0, 0.0, 1.0], (FORECAST_HOURS, 1)))
    assert np.array_equal(week.p50, inputs.base)
    assert week.p90 - week.p50 == pytest.approx(inputs.scale)
    assert 3 < inputs.scale.mean() < 5


def test_holiday_and_working_day_have_different_inputs() -> None:
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
