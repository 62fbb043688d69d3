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

from services.forecaster.interpreter import LiteModel, open_content, open_model
from services.forecaster.manifest import NETWORK, ModelError, sha256
from services.trainer import folder, network
from services.trainer.evaluation import Decision, decide
from services.trainer.folder import KERAS, SCALER
from services.trainer.hours import Hours
from services.trainer.network import Epoch
from services.trainer.plan import Trained
from services.trainer.samples import Prepared, split
from shared.domain.features import VERSION, Inputs, Scaler, outlook
from shared.domain.series import HOUR, Floats
from shared.settings import Training

PARITY = 1e-3
"""Greatest difference between Keras and LiteRT, in usual deviations."""


class ParityError(Exception):
    """LiteRT answers otherwise than Keras: the model must not be published."""


def train_channel(
    hours: Hours, prepared: Prepared, training: Training, at: int, data: Path, site: str, zone: ZoneInfo
) -> Iterator[Epoch | Trained]:
    """Yields each epoch and at last what was trained. Raises ParityError."""
    network.seed_everything(training.seed)
    core = network.build()
    yield from network.train(core, prepared.learned, prepared.watched, training.epochs, training.seed)
    weights = network.calibration(core, prepared.watched)
    trained, content = network.calibrated(core, weights), network.to_litert(core, weights)
    identity = f"{datetime.fromtimestamp(at, zone):%Y%m%dT%H%M}-{sha256(content)[:6]}"
    candidate = open_content(content, identity, prepared.scaler)
    check_parity(trained, candidate, prepared.seen)
    decision = judge(hours, candidate, prepared, data / place_of(hours))
    files = {NETWORK: content, KERAS: _keras(trained), SCALER: _joblib(prepared.fitted)}
    span = (hours.first, hours.first + split(hours).watched * HOUR)
    yield _keep(hours, data, files, Trained(
        hours.sensor, hours.channel, at, identity, place_of(hours), sha256(content), *span,
        decision.promoted, decision.reason, decision.metrics,
    ), prepared.scaler, site)  # fmt: skip


def place_of(hours: Hours) -> str:
    """Folder of a channel's models, relative to the data folder."""
    return f"output/Learning_lstm/{hours.channel}/{hours.sensor}"


def check_parity(trained: network.Network, candidate: LiteModel, seen: list[Inputs]) -> None:
    """Raises ParityError where LiteRT and Keras differ on any of the looks."""
    keras = network.answer(trained, np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen]))
    worst = max(float(np.abs(candidate.answer(look) - own).max()) for look, own in zip(seen, keras, strict=True))
    if not worst <= PARITY:
        raise ParityError(f"LiteRT differs from Keras by {worst:.2g} usual deviations")


def judge(hours: Hours, candidate: LiteModel, prepared: Prepared, place: Path) -> Decision:
    """Champion against challenger on the held-back hours; the profile is the champion while no model serves."""
    truth, usual, days = prepared.truth, prepared.usual, prepared.held // 24
    own = np.stack([_quantiles(candidate, look) for look in prepared.seen])
    try:
        champion = open_model(place)
    except ModelError:
        return decide(truth, own, usual, "the profile", days)
    used_looks = (hours.look(int(hour), champion.scaler) for hour in prepared.held)
    used = np.stack([_quantiles(champion, look) for look in used_looks if look])
    return decide(truth, own, used, champion.id, days, usual)


def _quantiles(model: LiteModel, look: Inputs) -> Floats:
    found = outlook(look, model.answer(look))
    return np.stack([found.p10, found.p50, found.p90], axis=1)


def _keep(hours: Hours, data: Path, files: dict[str, bytes], trained: Trained, scaler: Scaler, site: str) -> Trained:
    """Writes the model's folder; puts it into use if it was promoted."""
    place = data / place_of(hours)
    if not trained.promoted:
        trained = replace(trained, path=f"{trained.path}/versions/{trained.id}")
    with folder.alone(place):
        folder.mend(place)
        folder.keep(place, files, {**asdict(trained), "site": site, "features": VERSION, "scaler": asdict(scaler)})
        if trained.promoted:
            folder.promote(place, trained.id)
        folder.prune(place)
    return trained


def _keras(trained: network.Network) -> bytes:
    with TemporaryDirectory() as beside:
        path = Path(beside) / KERAS
        trained.save(path)
        return path.read_bytes()


def _joblib(fitted: object) -> bytes:
    content = io.BytesIO()
    joblib.dump(fitted, content)
    return content.getvalue()
