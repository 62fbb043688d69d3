"""WVR's own forecasts of an hourly series: from the profile, and from the LSTM that the trainer makes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.forecast.districts import ZONE
from services.forecaster.interpreter import open_model
from services.forecaster.week import Model, forecast
from services.trainer.channel import train_channel
from services.trainer.hours import Hours
from services.trainer.plan import Trained
from services.trainer.samples import prepare
from shared.domain.profile import AHEAD
from shared.domain.series import HOUR, Floats
from shared.settings import Training


def train(hours: Hours, stop: int) -> Model | None:
    """What would serve after a training on the hours before `stop`: the LSTM, or None for the profile."""
    known = replace(hours, values=hours.values[:stop], local=hours.local[: stop + AHEAD])
    with tempfile.TemporaryDirectory(prefix="wvr-bench-") as folder:
        at = hours.first + stop * HOUR
        for step in train_channel(known, prepare(known), Training(), at, Path(folder), "bench", ZONE):
            if isinstance(step, Trained) and step.promoted:
                return open_model(Path(folder) / step.path)
    return None


def quantiles(model: Model | None, hours: Hours, hour: int) -> Floats:
    """(169, 3) as the forecaster says them at the start of an hour; without a model from the profile."""
    past, ahead = slice(0, hour), slice(hour, hour + AHEAD)
    said = forecast(model, hours.values[past], hours.local[past], hours.local[ahead], hours.calendar)
    return np.array([said.p10, said.p50, said.p90], dtype=np.float64).T
