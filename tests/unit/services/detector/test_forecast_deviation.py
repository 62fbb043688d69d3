"""Forecast deviations with other bands than those fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.day_history import TrainingDays, average_to_ten_minutes, types_of_weekdays
from services.detector.methods import forecast_deviation
from services.detector.methods.forecast_deviation import ForecastDeviation
from shared.domain.series import Floats

DAYS = 40
LEVEL, NOISE, BAND = 60.0, 5.0, 4.0
"""m³/h; the band is p90 - p50."""
RNG = np.random.default_rng(5)


def fitted_detector() -> ForecastDeviation:
    values = _values(DAYS)
    numbers, every = 739_000 + np.arange(DAYS), np.ones(DAYS, dtype=np.bool_)
    forecasts = np.tile([LEVEL - BAND, LEVEL, LEVEL + BAND], (DAYS, 24, 1))
    means = average_to_ten_minutes(values.astype(np.float32))
    days = TrainingDays(
        numbers,
        types_of_weekdays((numbers - 1) % 7),
        values,
        np.full_like(values, LEVEL),
        forecasts,
        means,
        every,
        every,
    )
    detector = ForecastDeviation(forecast_deviation.fit(days, per_day=0.02))
    detector.start_day([LEVEL] * 1440)
    return detector


def _values(days: int) -> Floats:
    """Return (days, 1440) minutes with noise, and an offset per hour."""
    hours = np.repeat(RNG.normal(0.0, 2.0, (days, 24)), 60, axis=1)
    values: Floats = LEVEL + hours + RNG.normal(0.0, NOISE, (days, 1440))
    return values


def flags(detector: ForecastDeviation, day: Floats, band: float) -> int:
    count = 0
    for minute, value in enumerate(day.tolist()):
        if minute % 60 == 0:
            detector.start_hour(minute // 60, (LEVEL - band, LEVEL, LEVEL + band))
        count += detector.check(minute, value).flag or 0
    return count


@pytest.mark.parametrize("band", [0.0, 0.5 * BAND, BAND])
def test_narrower_bands_raise_hardly_more_flags(band: float) -> None:
    assert flags(fitted_detector(), _values(1)[0], band) < 10


@pytest.mark.parametrize("band", [0.0, BAND, 2.0 * BAND])
def test_large_deviation_is_flagged_with_any_band(band: float) -> None:
    assert flags(fitted_detector(), _values(1)[0] + 0.5 * LEVEL, band) > 1000
