"""WVR's own forecasts of an hourly series: from the profile, and from the LSTM that the trainer fits."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.forecast.districts import ZONE
from services.forecaster.forecast_week import ForecastModel, forecast
from services.trainer.channel_training import train_channel
from services.trainer.samples import build_dataset
from services.trainer.training_data import HourlySeries
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import HOUR, Floats
from shared.models.litert import load_litert_model
from shared.models.training_result import TrainingResult
from shared.settings.sections import Training


def train(series: HourlySeries, stop: int) -> ForecastModel | None:
    """Return the model after a training on the hours before `stop`: the LSTM, or None for the profile."""
    known = replace(series, values=series.values[:stop], local_hours=series.local_hours[: stop + FORECAST_HOURS])
    with tempfile.TemporaryDirectory(prefix="wvr-bench-") as folder:
        at = series.start_at + stop * HOUR
        for record in train_channel(known, build_dataset(known), Training(), at, Path(folder), "bench", ZONE):
            if isinstance(record, TrainingResult) and record.promoted:
                return load_litert_model(Path(folder) / record.path)
    return None


def quantiles(model: ForecastModel | None, series: HourlySeries, issue_hour: int) -> Floats:
    """Return the forecaster's quantiles (169, 3) at the start of an hour; without a model from the profile."""
    past, ahead = slice(0, issue_hour), slice(issue_hour, issue_hour + FORECAST_HOURS)
    week = forecast(model, series.values[past], series.local_hours[past], series.local_hours[ahead], series.calendar)
    return np.array([week.p10, week.p50, week.p90], dtype=np.float64).T
