"""What lies in a model's folder and whether it is whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from shared.contract.messages import PROFILE_MODEL_ID, is_valid_name
from shared.domain.features import FEATURES_VERSION
from shared.runtime.safe_files import read_limited

NETWORK_FILE, MANIFEST_FILE = "model.tflite", "manifest.json"
MAX_NETWORK_BYTES, MAX_MANIFEST_BYTES = 16_000_000, 1_000_000
"""Bytes; ours have 112,000 and 2,000."""


class ModelError(Exception):
    """A model that can't serve; the text says why."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a model's folder says of it. Raises ModelError."""
    try:
        manifest: Any = json.loads(read_limited(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES))
    except FileNotFoundError:
        raise ModelError(f"{folder}: no model yet") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder}: {MANIFEST_FILE} can't be read: {error}") from error
    if not isinstance(manifest, dict) or not {"id", "checksum", "features", "scaler"} <= manifest.keys():
        raise ModelError(f"{folder}: {MANIFEST_FILE} is not whole")
    identity = manifest["id"]
    if not (isinstance(identity, str) and 0 < len(identity) <= 64 and is_valid_name(identity)):
        raise ModelError(f"{folder}: {MANIFEST_FILE}: no id: {str(identity)[:80]!r}")
    if manifest["features"] != FEATURES_VERSION:
        raise ModelError(f"{folder}: made for features {manifest['features']}, these are {FEATURES_VERSION}")
    return manifest


def read_network(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """Network and manifest of `Learning_lstm/{channel}/{sensor}`, or of one of its `versions/{id}`.

    While a training exchanges the files one by one, manifest last, the manifest still names a model that is
    whole under `versions/`. Raises ModelError when there is none, or it isn't whole, or of another version.
    """
    manifest = read_manifest(folder)
    if manifest["id"] == PROFILE_MODEL_ID:
        raise ModelError(f"{folder}: the profile is in use: {str(manifest.get('reason'))[:200]}")
    for place in (folder, folder / "versions" / manifest["id"]):
        try:
            content = read_limited(place / NETWORK_FILE, MAX_NETWORK_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ModelError(f"{folder}: {NETWORK_FILE} can't be read: {error}") from error
        if sha256(content) == manifest["checksum"]:
            return content, manifest
    raise ModelError(f"{folder}: {NETWORK_FILE} doesn't match the checksum of {MANIFEST_FILE}")


def sha256(content: bytes) -> str:
    """Checksum as the manifest has it."""
    return hashlib.sha256(content).hexdigest()
