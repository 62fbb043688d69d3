"""A model serves only if it is whole, small, of the right shape, the announced one, and below data/output."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench.fuzz.models import MAKE
from bench.fuzz.services import make
from shared.contract.codec import ContractError, decode, encode
from shared.contract.messages import ModelTrained
from shared.contract.texts import technical
from shared.domain.features import FEATURES_VERSION, Scaler
from shared.models.litert import load_litert_model
from shared.models.loader import make_model_loader
from shared.models.manifest import MAX_NETWORK_BYTES, ModelError, sha256
from shared.models.store import active_models, prune, recover
from tests.fuzz.test_hostile_files import bounded
from tests.unit.factories import minute_at

PLACE = "output/Learning_lstm/flow_rate/001"
OTHER = """
import sys, pathlib
import tensorflow as tf
entry = tf.keras.Input((3, 5), batch_size=1, name="past")
network = tf.keras.Model([entry], tf.keras.layers.Dense(2)(entry))
pathlib.Path(sys.argv[1]).write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Networks of LiteRT: ours, untrained, and one of other shapes."""
    folder = tmp_path_factory.mktemp("networks")

    def network(name: str) -> bytes:
        path = folder / name
        if not path.exists():
            script = {"ours": MAKE, "other": OTHER}[name]
            subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True)
        return path.read_bytes()

    return network


def lay(data: Path, network: bytes, **changed: Any) -> Path:
    """A model's folder."""
    folder = data / PLACE
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(network)
    fields = {
        "id": "m1",
        "checksum": sha256(network),
        "features": FEATURES_VERSION,
        "scaler": asdict(Scaler(10.0, 5.0)),
        "sensor": "001",
        "channel": "flow_rate",
        "at": 0,
        "path": PLACE,
        "trained_from": 0,
        "trained_to": 0,
        "promoted": True,
        "reason": "better",
        "metrics": {"mae": 1.0},
        **changed,
    }
    (folder / "manifest.json").write_text(json.dumps(fields))
    return folder


def test_model_with_a_changed_byte_does_not_serve(tmp_path: Path, made: Callable[[str], bytes]) -> None:
    folder = lay(tmp_path, made("ours"))
    assert make_model_loader(tmp_path)(PLACE).id == "m1"  # type: ignore[union-attr]
    network = bytearray(made("ours"))
    network[-1] ^= 1
    (folder / "model.tflite").write_bytes(network)
    assert make_model_loader(tmp_path)(PLACE) is None
    with pytest.raises(ModelError, match="doesn't match the checksum"):
        load_litert_model(folder)


def test_a_model_that_was_not_announced_does_not_serve(tmp_path: Path, made: Callable[[str], bytes]) -> None:
    lay(tmp_path, made("ours"))
    assert make_model_loader(tmp_path)(PLACE, sha256(made("ours"))) is not None
    assert make_model_loader(tmp_path)(PLACE, "0" * 64) is None


def test_a_network_of_other_shapes_does_not_serve(tmp_path: Path, made: Callable[[str], bytes]) -> None:
    with pytest.raises(ModelError, match=r"takes \[\(1, 3, 5\)\]"):
        load_litert_model(lay(tmp_path, made("other")))


def test_a_model_elsewhere_than_in_data_output_does_not_serve(tmp_path: Path, made: Callable[[str], bytes]) -> None:
    folder = lay(tmp_path / "data", made("ours"))
    elsewhere = folder.rename(tmp_path / "data/elsewhere")
    folder.symlink_to(elsewhere)
    load = make_model_loader(tmp_path / "data")
    for path in ("elsewhere", "output/../elsewhere", str(elsewhere), PLACE, "..", "", "\0", "x" * 300):
        assert load(path) is None


@pytest.mark.parametrize("path", ["../../etc", "/etc", "output/../../x", "a\nb"])
def test_a_path_that_leads_out_of_the_data_folder_is_refused_at_the_broker(path: str) -> None:
    trained = ModelTrained(
        site="site1",
        sensor="001",
        at=minute_at(0),
        channel="flow_rate",
        id="m1",
        path=PLACE,
        checksum="0" * 64,
        trained_from=minute_at(0),
        trained_to=minute_at(0),
        metrics={},
        promoted=True,
        reason=technical("better"),
    )
    with pytest.raises(ContractError, match="expected a relative path"):
        encode(replace(trained, path=path))
    payload = json.loads(encode(trained)) | {"path": path}
    with pytest.raises(ContractError, match="expected a relative path"):
        decode("wvr/v1/site1/001/model", json.dumps(payload).encode())


def test_a_network_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    folder = lay(tmp_path, b"")
    with (folder / "model.tflite").open("wb") as file:
        file.truncate(1_000_000_000)
    with bounded(megabytes=4 * MAX_NETWORK_BYTES / 1e6), pytest.raises(ModelError, match="larger than"):
        load_litert_model(folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": 5},
        {"id": "../.."},
        {"id": ""},
        {"id": None},
        {"checksum": None},
        {"checksum": 7},
        {"features": "1"},
        {"scaler": None},
        {"scaler": {}},
        {"scaler": {"center": "a", "spread": 1}},
        {"scaler": {"center": 0, "spread": 0}},
        {"scaler": {"center": 0, "spread": 1e400}},
        {"scaler": {"center": float("nan"), "spread": 1}},
        {"scaler": {"center": 10**400, "spread": 1}},
    ],
    ids=str,
)
def test_invalid_manifest_is_reported(changed: dict[str, Any], tmp_path: Path) -> None:
    folder = lay(tmp_path, b"network", **changed)
    with pytest.raises(ModelError, match="001"):
        load_litert_model(folder)
    assert make_model_loader(tmp_path)(PLACE) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"sensor": "002"},
        {"channel": "depth"},
        {"at": "now"},
        {"at": 10**20},
        {"trained_to": None},
        {"path": 1},
        {"promoted": "yes"},
        {"checksums": {"../../x": ""}},
        {"checksums": [1]},
        {"reason": None},
        {"reason_ko": 5},
        {"demotion": "yes"},
        {"metrics": {"mae": "much"}},
        {"metrics": None},
        {"id": "profile", "scaler": None},
    ],
    ids=str,
)
def test_trainer_recovers_from_any_manifest(changed: dict[str, Any], tmp_path: Path) -> None:
    folder = lay(tmp_path, b"network", **changed)
    (folder / "versions").mkdir()
    (folder / "versions/stray").touch()
    assert all(trained.sensor == "001" for trained in active_models(tmp_path / "output/Learning_lstm"))
    recover(folder)
    prune(folder)
    assert list(make("trainer", tmp_path).start()) is not None


def test_oversized_manifest_is_not_read(tmp_path: Path) -> None:
    folder = lay(tmp_path, b"network")
    for content in (b"[" * 500_000, b" " * 2_000_000):
        (folder / "manifest.json").write_bytes(content)
        with bounded(megabytes=50), pytest.raises(ModelError, match="can't be read"):
            load_litert_model(folder)
