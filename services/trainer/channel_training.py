"""The training of one channel: from hourly means to a stored model, active if it is better than the champion."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import joblib
import numpy as np

from services.trainer import network
from services.trainer.champion_challenger import PROFILE_NAME, Decision, decide
from services.trainer.network import Epoch
from services.trainer.samples import Dataset, split
from services.trainer.training_data import HourlySeries
from shared.contract.texts import technical
from shared.domain.features import FEATURES_VERSION, ModelInputs, Scaler, to_quantiles
from shared.domain.series import HOUR, Floats
from shared.models import store
from shared.models.litert import LiteRTModel, load_litert_bytes, load_litert_model
from shared.models.manifest import NETWORK_FILE, ModelError, sha256
from shared.models.store import KERAS_FILE, SCALER_FILE
from shared.models.training_result import TrainingResult
from shared.settings.sections import Training

PARITY_TOLERANCE = 1e-3
"""Greatest difference between Keras and LiteRT, in residual standard deviations."""


class ParityError(Exception):
    """LiteRT and Keras predict differently: the model must not be published."""


def train_channel(
    series: HourlySeries, dataset: Dataset, training: Training, at: int, data: Path, site: str, zone: ZoneInfo
) -> Iterator[Epoch | TrainingResult]:
    """Yield each epoch and at last the result. Raises ParityError."""
    network.seed_everything(training.seed)
    base_model = network.build_model()
    yield from network.fit(base_model, dataset.train, dataset.validation, training.epochs, training.seed)
    weights = network.fit_calibration(base_model, dataset.validation)
    model, content = network.with_calibration(base_model, weights), network.to_litert(base_model, weights)
    identity = f"{datetime.fromtimestamp(at, zone):%Y%m%dT%H%M}-{sha256(content)[:6]}"
    candidate = load_litert_bytes(content, identity, dataset.scaler)
    check_parity(model, candidate, dataset.holdout_inputs)
    decision = compare_with_champion(series, candidate, dataset, data / model_folder(series))
    files = {
        NETWORK_FILE: content,
        KERAS_FILE: _keras_bytes(model),
        SCALER_FILE: _joblib_bytes(dataset.sklearn_scaler),
    }
    result = TrainingResult(
        sensor=series.sensor,
        channel=series.channel,
        at=at,
        id=identity,
        path=model_folder(series),
        checksum=sha256(content),
        trained_from=series.start_at,
        trained_to=series.start_at + split(series).validation_start * HOUR,
        promoted=decision.promoted,
        reason=decision.reason,
        metrics=decision.metrics,
    )
    yield _save(series, data, files, result, dataset.scaler, site)


def model_folder(series: HourlySeries) -> str:
    """Return the folder of a channel's models, relative to the data folder."""
    return f"output/Learning_lstm/{series.channel}/{series.sensor}"


def check_parity(model: network.Network, candidate: LiteRTModel, inputs: list[ModelInputs]) -> None:
    """Raise ParityError where LiteRT and Keras predict differently for any of the inputs."""
    past, ahead = np.stack([entry.past for entry in inputs]), np.stack([entry.ahead for entry in inputs])
    by_keras = network.predict(model, past, ahead)
    differences = (np.abs(candidate.predict(entry) - keras) for entry, keras in zip(inputs, by_keras, strict=True))
    largest = max(float(difference.max()) for difference in differences)
    if not largest <= PARITY_TOLERANCE:
        raise ParityError(f"LiteRT differs from Keras by {largest:.2g} standard deviations")


def compare_with_champion(series: HourlySeries, candidate: LiteRTModel, dataset: Dataset, folder: Path) -> Decision:
    """Compare the candidate with the active model on the holdout hours; without one, with the profile."""
    actuals, profile, days = dataset.actuals, dataset.profile_quantiles, dataset.holdout_hours // 24
    by_candidate = np.stack([_quantiles(candidate, inputs) for inputs in dataset.holdout_inputs])
    try:
        champion = load_litert_model(folder)
    except ModelError:
        return decide(actuals, by_candidate, profile, PROFILE_NAME, days)
    champion_inputs = (series.inputs_at(int(hour), champion.scaler) for hour in dataset.holdout_hours)
    by_champion = np.stack([_quantiles(champion, inputs) for inputs in champion_inputs if inputs])
    return decide(actuals, by_candidate, by_champion, technical(champion.id), days, profile)


def _quantiles(model: LiteRTModel, inputs: ModelInputs) -> Floats:
    forecast = to_quantiles(inputs, model.predict(inputs))
    return np.stack([forecast.p10, forecast.p50, forecast.p90], axis=1)


def _save(
    series: HourlySeries, data: Path, files: dict[str, bytes], result: TrainingResult, scaler: Scaler, site: str
) -> TrainingResult:
    """Store a model as a version; activate it if it was promoted."""
    folder = data / model_folder(series)
    if not result.promoted:
        result = replace(result, path=f"{result.path}/versions/{result.id}")
    manifest = {**result.to_manifest(), "site": site, "features": FEATURES_VERSION, "scaler": asdict(scaler)}
    with store.exclusive_lock(folder):
        store.recover(folder)
        store.save_version(folder, files, manifest)
        if result.promoted:
            store.promote(folder, result.id)
        store.prune(folder)
    return result


def _keras_bytes(model: network.Network) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / KERAS_FILE
        model.save(path)
        return path.read_bytes()


def _joblib_bytes(scaler: object) -> bytes:
    content = io.BytesIO()
    joblib.dump(scaler, content)
    return content.getvalue()
