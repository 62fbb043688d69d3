"""What lies in a model's folder and whether it is whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from shared.domain.features import VERSION

NETWORK, MANIFEST = "model.tflite", "manifest.json"


class ModelError(Exception):
    """A model that can't serve; the text says why."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a model's folder says of it. Raises ModelError."""
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: no model yet") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: {MANIFEST} can't be read: {error}") from error
    if not isinstance(manifest, dict) or not {"id", "checksum", "features", "scaler"} <= manifest.keys():
        raise ModelError(f"{folder}: {MANIFEST} is not whole")
    if manifest["features"] != VERSION:
        raise ModelError(f"{folder}: made for features {manifest['features']}, these are {VERSION}")
    return manifest


def read_model(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """Network and manifest of `Learning_lstm/{channel}/{sensor}`, or of one of its `versions/{id}`.

    While a training exchanges the files one by one, manifest last, the manifest still names a model that is
    whole under `versions/`. Raises ModelError when there is none, or it isn't whole, or of another version.
    """
    manifest = read_manifest(folder)
    for place in (folder, folder / "versions" / manifest["id"]):
        network = place / NETWORK
        if network.exists() and sha256(content := network.read_bytes()) == manifest["checksum"]:
            return content, manifest
    raise ModelError(f"{folder}: {NETWORK} doesn't match the checksum of {MANIFEST}")


def sha256(content: bytes) -> str:
    """Checksum as the manifest has it."""
    return hashlib.sha256(content).hexdigest()
