"""A model's folder, as a stranger leaves it: a model that answers, or a ModelError.

The network's bytes are changed too, with a checksum that matches: LiteRT looks through them before it takes them.
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

    place = folder / "flow_rate" / "001"
    place.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", MAKE, str(folder / "whole")], check=True, capture_output=True)
    whole = (folder / "whole").read_bytes()

    def take(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        network = _changed(draw, whole) if draw.integer(0, 1) else draw.raw(draw.integer(0, 200))
        (place / "model.tflite").write_bytes(network)
        ours = json.dumps(_manifest(draw, sha256(network))).encode() if draw.integer(0, 3) else b""
        (place / "manifest.json").write_bytes(ours or draw.raw(draw.left))
        with suppress(ModelError):
            load_litert_model(place).predict(WARMUP_INPUTS)
        for trained in active_models(folder):
            assert trained.sensor == "001"
        recover(place)
        prune(place)

    return take


def _changed(draw: BytesSource, whole: bytes) -> bytes:
    """A network with some of its bytes changed, most of them where its structure is."""
    content = bytearray(whole)
    for _ in range(draw.integer(0, 4)):
        content[draw.integer(0, (3000, len(content) - 1)[draw.integer(0, 1)])] = draw.integer(0, 255)
    return bytes(content)


def _manifest(draw: BytesSource, checksum: str) -> dict[str, Any]:
    """A whole one with some fields of another type or value."""
    odd: list[Any] = [
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
        fields[names[draw.integer(0, len(names) - 1)]] = odd[draw.integer(0, len(odd) - 1)]
    if draw.integer(0, 1):
        fields["scaler"] = {name: odd[draw.integer(0, len(odd) - 1)] for name in SCALER}
    return fields


def seeds(_: str) -> Iterator[bytes]:
    whole = {"id": "m", "checksum": "", "features": FEATURES_VERSION, "scaler": SCALER}
    yield json.dumps(whole).encode() + bytes([0, 0])
    yield bytes(range(100))
