"""WVR's own forecasts of an hourly series: from the profile, and from the LSTM that the trainer makes."""

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
from services.trainer.training_protocol import TrainingResult
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import HOUR, Floats
from shared.models.litert import load_litert_model
from shared.settings import Training


def train(hours: HourlySeries, stop: int) -> ForecastModel | None:
    """What would serve after a training on the hours before `stop`: the LSTM, or None for the profile."""
    known = replace(hours, values=hours.values[:stop], local_hours=hours.local_hours[: stop + FORECAST_HOURS])
    with tempfile.TemporaryDirectory(prefix="wvr-bench-") as folder:
        at = hours.start_at + stop * HOUR
        for step in train_channel(known, build_dataset(known), Training(), at, Path(folder), "bench", ZONE):
            if isinstance(step, TrainingResult) and step.promoted:
                return load_litert_model(Path(folder) / step.path)
    return None


def quantiles(model: ForecastModel | None, hours: HourlySeries, issue_hour: int) -> Floats:
    """(169, 3) as the forecaster says them at the start of an hour; without a model from the profile."""
    past, ahead = slice(0, issue_hour), slice(issue_hour, issue_hour + FORECAST_HOURS)
    said = forecast(model, hours.values[past], hours.local_hours[past], hours.local_hours[ahead], hours.calendar)
    return np.array([said.p10, said.p50, said.p90], dtype=np.float64).T
