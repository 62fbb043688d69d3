"""Fuzz of a model folder: a model that predicts, or a ModelError.

The network's bytes change too, with a matching checksum, since LiteRT verifies a network when it loads it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.fuzz.bytes_source import BytesSource
from bench.fuzz.targets import FuzzInput
from shared.domain.features import FEATURES_VERSION, Scaler
from shared.models.litert import WARMUP_INPUTS, load_litert_model
from shared.models.manifest import ModelError, sha256
from shared.models.store import active_models, prune, recover

MAKE = """
import sys, pathlib
import numpy as np
from services.trainer import network
weights = np.zeros((169, network.ENSEMBLE_SIZE + 2, 3), np.float32)
pathlib.Path(sys.argv[1]).write_bytes(network.to_litert(network.build_model(), weights))
"""
SCALER = asdict(Scaler(10.0, 5.0))


def open_target(_: str, folder: Path) -> FuzzInput:
    import atheris

    model_folder = folder / "flow_rate" / "001"
    model_folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", MAKE, str(folder / "network")], check=True, capture_output=True)
    valid_network = (folder / "network").read_bytes()

    def run_input(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        network = _changed(draw, valid_network) if draw.integer(0, 1) else draw.raw(draw.integer(0, 200))
        (model_folder / "model.tflite").write_bytes(network)
        manifest = json.dumps(_manifest(draw, sha256(network))).encode() if draw.integer(0, 3) else b""
        (model_folder / "manifest.json").write_bytes(manifest or draw.raw(draw.remaining_bytes))
        with suppress(ModelError):
            load_litert_model(model_folder).predict(WARMUP_INPUTS)
        for message in active_models(folder):
            assert message.sensor == "001"
        recover(model_folder)
        prune(model_folder)

    return run_input


def _changed(draw: BytesSource, network: bytes) -> bytes:
    """Return the network with some bytes changed, half of them in its first 3000 bytes, which hold its structure."""
    content = bytearray(network)
    for _ in range(draw.integer(0, 4)):
        content[draw.integer(0, (3000, len(content) - 1)[draw.integer(0, 1)])] = draw.integer(0, 255)
    return bytes(content)


def _manifest(draw: BytesSource, checksum: str) -> dict[str, Any]:
    """Return a complete manifest with some fields of another type or value."""
    invalid_values: list[Any] = [
        None,
        -1,
        10**400,
        float("nan"),
        "",
        "../..",
        [],
        {},
        True,
        "\ud800",
        "m",
        FEATURES_VERSION,
        draw.text(20),
    ]
    fields: dict[str, Any] = {
        "id": "m",
        "checksum": checksum,
        "features": FEATURES_VERSION,
        "scaler": dict(SCALER),
        "sensor": "001",
        "channel": "flow_rate",
        "at": 0,
        "path": "output",
        "trained_from": 0,
        "trained_to": 0,
        "promoted": True,
        "reason": "better",
        "metrics": {},
        "checksums": {"model.tflite": checksum},
    }
    names = sorted(fields)
    for _ in range(draw.integer(0, 3)):
        fields[names[draw.integer(0, len(names) - 1)]] = invalid_values[draw.integer(0, len(invalid_values) - 1)]
    if draw.integer(0, 1):
        fields["scaler"] = {name: invalid_values[draw.integer(0, len(invalid_values) - 1)] for name in SCALER}
    return fields


def seeds(_: str) -> Iterator[bytes]:
    manifest = {"id": "m", "checksum": "", "features": FEATURES_VERSION, "scaler": SCALER}
    yield json.dumps(manifest).encode() + bytes([0, 0])
    yield bytes(range(100))
