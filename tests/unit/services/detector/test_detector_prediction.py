"""Deviations from a forecast whose bands are not those that were learned from."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.memory import Past, day_types, ten_minute_means
from services.detector.methods import prediction
from services.detector.methods.prediction import Prediction
from shared.domain.series import Floats

DAYS = 40
LEVEL, NOISE, BAND = 60.0, 5.0, 4.0
"""m³/h; the band is p90 - p50."""
RNG = np.random.default_rng(5)


def learned() -> Prediction:
    values = _values(DAYS)
    numbers, every = 739_000 + np.arange(DAYS), np.ones(DAYS, dtype=np.bool_)
    forecasts = np.tile([LEVEL - BAND, LEVEL, LEVEL + BAND], (DAYS, 24, 1))
    tens = ten_minute_means(values.astype(np.float32))
    past = Past(
        numbers, day_types((numbers - 1) % 7), values, np.full_like(values, LEVEL), forecasts, tens, every, every
    )
    watch = Prediction(prediction.learn(past, per_day=0.02))
    watch.open_day([LEVEL] * 1440)
    return watch


def _values(days: int) -> Floats:
    """(days, 1440): minutes, and hours that are off the forecast together."""
    hours = np.repeat(RNG.normal(0.0, 2.0, (days, 24)), 60, axis=1)
    found: Floats = LEVEL + hours + RNG.normal(0.0, NOISE, (days, 1440))
    return found


def flags(watch: Prediction, day: Floats, band: float) -> int:
    found = 0
    for minute, value in enumerate(day.tolist()):
        if minute % 60 == 0:
            watch.open_hour(minute // 60, (LEVEL - band, LEVEL, LEVEL + band))
        found += watch.check(minute, value).flag or 0
    return found


@pytest.mark.parametrize("band", [0.0, 0.5 * BAND, BAND])
def test_a_forecaster_with_narrower_bands_raises_hardly_more_deviations(band: float) -> None:
    assert flags(learned(), _values(1)[0], band) < 10


@pytest.mark.parametrize("band", [0.0, BAND, 2.0 * BAND])
def test_what_is_far_off_is_a_deviation_whatever_the_band(band: float) -> None:
    assert flags(learned(), _values(1)[0] + 0.5 * LEVEL, band) > 1000
