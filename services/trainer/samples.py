"""Hours become samples: split by time, scaled, looked at as the forecaster will. Without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import RobustScaler

from services.trainer.training_data import HourlySeries
from shared.domain.features import (
    AHEAD_FEATURES,
    ENCODER_HOURS,
    ENCODER_STEP_HOURS,
    PAST_FEATURES,
    Float32s,
    ModelInputs,
    Scaler,
)
from shared.domain.hour_of_week import WEEK_HOURS
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats, Ints

HOLDOUT_WEEKS, LONG_SERIES_WEEKS = 4, 20
"""Weeks held back of at least LONG_WEEKS; of less, a sixth and at least one week."""
MAX_SAMPLES = 4400
VALIDATION_STEP_HOURS, HOLDOUT_STEP_HOURS = 3, 1
"""Hours between the looks that are watched and held back."""


@dataclass(frozen=True)
class Samples:
    """Looks and what came, one row an issue time."""

    past: Float32s
    """(n, PAST / STEP, 2 * STEP)"""
    ahead: Float32s
    """(n, 169, 28)"""
    targets: Float32s
    """(n, 169) what came minus the base, in usual deviations; NaN where unknown or not to be learned."""

    def __len__(self) -> int:
        return len(self.past)


@dataclass(frozen=True)
class Dataset:
    """All that the training of one channel needs to know of its hours."""

    sklearn_scaler: RobustScaler
    scaler: Scaler
    train: Samples
    validation: Samples
    holdout_hours: Ints
    """(n,) indices of the hours at whose start forecasts are compared."""
    holdout_inputs: list[ModelInputs]
    """What the network sees then."""
    actuals: Floats
    """(n, 169) what came; NaN where unknown."""
    profile_quantiles: Floats
    """(n, 169, 3) quantiles of the profile; NaN where there is none."""


@dataclass(frozen=True)
class Split:
    """Indices of hours: learned from before `watched`, stopped early by those before `held`, judged on the rest."""

    validation_start: int
    holdout_start: int
    end: int


def build_dataset(hours: HourlySeries) -> Dataset:
    """Raises ValueError for too many gaps."""
    parts = split(hours)
    fitted, scaler = fit_scaler(hours, parts.holdout_start)
    every = max(1, -(-(parts.validation_start - ENCODER_HOURS) // MAX_SAMPLES))
    learned = make_samples(hours, scaler, ENCODER_HOURS, parts.validation_start, every)
    watched = make_samples(hours, scaler, parts.validation_start, parts.holdout_start, VALIDATION_STEP_HOURS)
    held, seen = inputs_every(hours, scaler, parts.holdout_start, parts.end - 24, HOLDOUT_STEP_HOURS)
    if not seen:
        raise ValueError("the newest weeks have too many gaps to judge a model")
    truth = np.stack([hours.actuals_from(int(hour), parts.end) for hour in held])
    return Dataset(
        fitted,
        scaler,
        learned,
        watched,
        held,
        seen,
        truth,
        np.stack([_profile_quantiles(hours, int(one)) for one in held]),
    )


def _profile_quantiles(hours: HourlySeries, hour: int) -> Floats:
    found = hours.profile_at(hour)
    return np.stack([found.p10, found.p50, found.p90], axis=1) if found else np.full((FORECAST_HOURS, 3), np.nan)


def split(hours: HourlySeries) -> Split:
    """The newest weeks are held back, those before them watched for the early stop."""
    end = len(hours.values)
    held = HOLDOUT_WEEKS * WEEK_HOURS if end >= LONG_SERIES_WEEKS * WEEK_HOURS else max(WEEK_HOURS, end // 6)
    rest = end - held
    watched = int(np.clip((rest - ENCODER_HOURS) // 4, 48, HOLDOUT_WEEKS * WEEK_HOURS))
    return Split(rest - watched, rest, end)


def fit_scaler(hours: HourlySeries, stop: int) -> tuple[RobustScaler, Scaler]:
    """Scaling of one channel from the hours before `stop`."""
    known = hours.values[:stop][~np.isnan(hours.values[:stop])]
    fitted = RobustScaler().fit(known[:, None])
    return fitted, Scaler(float(fitted.center_[0]), float(fitted.scale_[0]))


def inputs_every(
    hours: HourlySeries, scaler: Scaler, start: int, stop: int, every: int
) -> tuple[Ints, list[ModelInputs]]:
    """The looks of every so many hours for which enough is known, and their hours."""
    found = [(hour, look) for hour in range(start, stop, every) if (look := hours.inputs_at(hour, scaler))]
    return np.array([hour for hour, _ in found], dtype=np.int64), [look for _, look in found]


def make_samples(hours: HourlySeries, scaler: Scaler, start: int, stop: int, every: int) -> Samples:
    """Looks with what came before `stop`, in usual deviations. Raises ValueError when there are none."""
    at = range(start, stop - 24, every)
    past = np.empty((len(at), ENCODER_HOURS // ENCODER_STEP_HOURS, PAST_FEATURES), np.float32)
    ahead, came = (
        np.empty((len(at), FORECAST_HOURS, AHEAD_FEATURES), np.float32),
        np.empty((len(at), FORECAST_HOURS), np.float32),
    )
    known = 0
    for hour in at:
        if look := hours.inputs_at(hour, scaler):
            past[known], ahead[known] = look.past, look.ahead
            came[known] = (hours.actuals_from(hour, stop) - look.base) / look.scale
            known += 1
    if not known:
        raise ValueError("the readings have too many gaps to learn from")
    return Samples(past[:known], ahead[:known], came[:known])
