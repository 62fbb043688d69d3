"""The training of one channel of one sensor, from hours to a kept model that serves if it is better."""

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
from services.trainer.champion_challenger import Decision, decide
from services.trainer.network import Epoch
from services.trainer.samples import Dataset, split
from services.trainer.training_data import HourlySeries
from services.trainer.training_protocol import TrainingResult
from shared.domain.features import FEATURES_VERSION, ModelInputs, Scaler, to_quantiles
from shared.domain.series import HOUR, Floats
from shared.models import store
from shared.models.litert import LiteRTModel, load_litert_bytes, load_litert_model
from shared.models.manifest import NETWORK_FILE, ModelError, sha256
from shared.models.store import KERAS_FILE, SCALER_FILE
from shared.settings import Training

PARITY_TOLERANCE = 1e-3
"""Greatest difference between Keras and LiteRT, in usual deviations."""


class ParityError(Exception):
    """LiteRT answers otherwise than Keras: the model must not be published."""


def train_channel(
    hours: HourlySeries, prepared: Dataset, training: Training, at: int, data: Path, site: str, zone: ZoneInfo
) -> Iterator[Epoch | TrainingResult]:
    """Yields each epoch and at last what was trained. Raises ParityError."""
    network.seed_everything(training.seed)
    core = network.build_model()
    yield from network.fit(core, prepared.train, prepared.validation, training.epochs, training.seed)
    weights = network.fit_calibration(core, prepared.validation)
    trained, content = network.with_calibration(core, weights), network.to_litert(core, weights)
    identity = f"{datetime.fromtimestamp(at, zone):%Y%m%dT%H%M}-{sha256(content)[:6]}"
    candidate = load_litert_bytes(content, identity, prepared.scaler)
    check_parity(trained, candidate, prepared.holdout_inputs)
    decision = compare_with_champion(hours, candidate, prepared, data / model_folder(hours))
    files = {
        NETWORK_FILE: content,
        KERAS_FILE: _keras_bytes(trained),
        SCALER_FILE: _joblib_bytes(prepared.sklearn_scaler),
    }
    span = (hours.start_at, hours.start_at + split(hours).validation_start * HOUR)
    yield _save(hours, data, files, TrainingResult(
        hours.sensor, hours.channel, at, identity, model_folder(hours), sha256(content), *span,
        decision.promoted, decision.reason, decision.metrics,
    ), prepared.scaler, site)  # fmt: skip


def model_folder(hours: HourlySeries) -> str:
    """Folder of a channel's models, relative to the data folder."""
    return f"output/Learning_lstm/{hours.channel}/{hours.sensor}"


def check_parity(trained: network.Network, candidate: LiteRTModel, seen: list[ModelInputs]) -> None:
    """Raises ParityError where LiteRT and Keras differ on any of the looks."""
    keras = network.predict(trained, np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen]))
    worst = max(float(np.abs(candidate.predict(look) - own).max()) for look, own in zip(seen, keras, strict=True))
    if not worst <= PARITY_TOLERANCE:
        raise ParityError(f"LiteRT differs from Keras by {worst:.2g} usual deviations")


def compare_with_champion(hours: HourlySeries, candidate: LiteRTModel, prepared: Dataset, place: Path) -> Decision:
    """Champion against challenger on the held-back hours; the profile is the champion while no model serves."""
    truth, usual, days = prepared.actuals, prepared.profile_quantiles, prepared.holdout_hours // 24
    own = np.stack([_quantiles(candidate, look) for look in prepared.holdout_inputs])
    try:
        champion = load_litert_model(place)
    except ModelError:
        return decide(truth, own, usual, "the profile", days)
    used_looks = (hours.inputs_at(int(hour), champion.scaler) for hour in prepared.holdout_hours)
    used = np.stack([_quantiles(champion, look) for look in used_looks if look])
    return decide(truth, own, used, champion.id, days, usual)


def _quantiles(model: LiteRTModel, look: ModelInputs) -> Floats:
    found = to_quantiles(look, model.predict(look))
    return np.stack([found.p10, found.p50, found.p90], axis=1)


def _save(
    hours: HourlySeries, data: Path, files: dict[str, bytes], trained: TrainingResult, scaler: Scaler, site: str
) -> TrainingResult:
    """Writes the model's folder; puts it into use if it was promoted."""
    place = data / model_folder(hours)
    if not trained.promoted:
        trained = replace(trained, path=f"{trained.path}/versions/{trained.id}")
    with store.exclusive_lock(place):
        store.recover(place)
        store.save_version(
            place, files, {**asdict(trained), "site": site, "features": FEATURES_VERSION, "scaler": asdict(scaler)}
        )
        if trained.promoted:
            store.promote(place, trained.id)
        store.prune(place)
    return trained


def _keras_bytes(trained: network.Network) -> bytes:
    with TemporaryDirectory() as beside:
        path = Path(beside) / KERAS_FILE
        trained.save(path)
        return path.read_bytes()


def _joblib_bytes(fitted: object) -> bytes:
    content = io.BytesIO()
    joblib.dump(fitted, content)
    return content.getvalue()
