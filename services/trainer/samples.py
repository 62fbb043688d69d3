"""Datasets for the network: samples of an hourly series, split by time and scaled as for forecasting.

Without TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import RobustScaler

from services.trainer.training_data import HourlySeries
from shared.contract.messages import LocalizedText
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
"""Holdout weeks of a series of at least LONG_SERIES_WEEKS; of a shorter one, a sixth and at least one week."""
MAX_SAMPLES = 4400
"""Training samples at most."""
VALIDATION_STEP_HOURS, HOLDOUT_STEP_HOURS = 3, 1
"""Hours between the issue times of validation samples, and of holdout forecasts."""


class TooManyGaps(ValueError):
    """The readings of a channel have too many gaps for a training."""

    def __init__(self, text: LocalizedText) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text.en


@dataclass(frozen=True)
class Samples:
    """Inputs and targets, one row an issue time."""

    past: Float32s
    """(n, ENCODER_HOURS / ENCODER_STEP_HOURS, 2 * ENCODER_STEP_HOURS)"""
    ahead: Float32s
    """(n, 169, 28)"""
    targets: Float32s
    """(n, 169) actuals minus the base forecast, in residual standard deviations; NaN where unknown."""

    def __len__(self) -> int:
        return len(self.past)


@dataclass(frozen=True)
class Dataset:
    """All data for the training of one channel."""

    sklearn_scaler: RobustScaler
    scaler: Scaler
    train: Samples
    validation: Samples
    holdout_hours: Ints
    """(n,) indices of the hours at whose start forecasts are compared."""
    holdout_inputs: list[ModelInputs]
    """The network's inputs at these hours."""
    actuals: Floats
    """(n, 169), NaN where unknown."""
    profile_quantiles: Floats
    """(n, 169, 3) of the profile; NaN where there is no profile."""


@dataclass(frozen=True)
class Split:
    """Indices of hours: training before `validation_start`, validation before `holdout_start`, holdout after it."""

    validation_start: int
    holdout_start: int
    end: int


def build_dataset(series: HourlySeries) -> Dataset:
    """Build the dataset of a channel. Raises TooManyGaps."""
    parts = split(series)
    sklearn_scaler, scaler = fit_scaler(series, parts.holdout_start)
    train_step = max(1, -(-(parts.validation_start - ENCODER_HOURS) // MAX_SAMPLES))
    train = make_samples(series, scaler, ENCODER_HOURS, parts.validation_start, train_step)
    validation = make_samples(series, scaler, parts.validation_start, parts.holdout_start, VALIDATION_STEP_HOURS)
    holdout_hours, inputs = inputs_every(series, scaler, parts.holdout_start, parts.end - 24, HOLDOUT_STEP_HOURS)
    if not inputs:
        raise TooManyGaps(
            LocalizedText(
                "평가 기간에 빠진 계측값이 많아 모델을 평가할 수 없습니다",
                "the holdout weeks have too many gaps to evaluate a model",
            )
        )
    return Dataset(
        sklearn_scaler=sklearn_scaler,
        scaler=scaler,
        train=train,
        validation=validation,
        holdout_hours=holdout_hours,
        holdout_inputs=inputs,
        actuals=np.stack([series.actuals_from(int(hour), parts.end) for hour in holdout_hours]),
        profile_quantiles=np.stack([_profile_quantiles(series, int(hour)) for hour in holdout_hours]),
    )


def _profile_quantiles(series: HourlySeries, hour: int) -> Floats:
    forecast = series.profile_at(hour)
    if not forecast:
        return np.full((FORECAST_HOURS, 3), np.nan)
    return np.stack([forecast.p10, forecast.p50, forecast.p90], axis=1)


def split(series: HourlySeries) -> Split:
    """Split a series by time: the newest weeks are the holdout, those before them the validation data."""
    end = len(series.values)
    holdout = HOLDOUT_WEEKS * WEEK_HOURS if end >= LONG_SERIES_WEEKS * WEEK_HOURS else max(WEEK_HOURS, end // 6)
    holdout_start = end - holdout
    validation = int(np.clip((holdout_start - ENCODER_HOURS) // 4, 48, HOLDOUT_WEEKS * WEEK_HOURS))
    return Split(holdout_start - validation, holdout_start, end)


def fit_scaler(series: HourlySeries, stop: int) -> tuple[RobustScaler, Scaler]:
    """Fit the scaling of a channel to the hours before `stop` (index)."""
    known = series.values[:stop][~np.isnan(series.values[:stop])]
    sklearn_scaler = RobustScaler().fit(known[:, None])
    return sklearn_scaler, Scaler(float(sklearn_scaler.center_[0]), float(sklearn_scaler.scale_[0]))


def inputs_every(
    series: HourlySeries, scaler: Scaler, start: int, stop: int, step: int
) -> tuple[Ints, list[ModelInputs]]:
    """Return the inputs of every `step` hours with enough data, and the indices of these hours."""
    entries = [(hour, inputs) for hour in range(start, stop, step) if (inputs := series.inputs_at(hour, scaler))]
    return np.array([hour for hour, _ in entries], dtype=np.int64), [inputs for _, inputs in entries]


def make_samples(series: HourlySeries, scaler: Scaler, start: int, stop: int, step: int) -> Samples:
    """Return samples of every `step` hours, with targets before `stop` (index). Raises TooManyGaps."""
    hours = range(start, stop - 24, step)
    past = np.empty((len(hours), ENCODER_HOURS // ENCODER_STEP_HOURS, PAST_FEATURES), np.float32)
    ahead = np.empty((len(hours), FORECAST_HOURS, AHEAD_FEATURES), np.float32)
    targets = np.empty((len(hours), FORECAST_HOURS), np.float32)
    count = 0
    for hour in hours:
        if inputs := series.inputs_at(hour, scaler):
            past[count], ahead[count] = inputs.past, inputs.ahead
            targets[count] = (series.actuals_from(hour, stop) - inputs.base) / inputs.scale
            count += 1
    if not count:
        raise TooManyGaps(
            LocalizedText("빠진 계측값이 많아 학습할 수 없습니다", "the readings have too many gaps for a training")
        )
    return Samples(past[:count], ahead[:count], targets[:count])
