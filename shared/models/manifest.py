"""The manifest of a model's folder, and the network that it names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from shared.contract.messages import PROFILE_MODEL_ID, LocalizedText, is_valid_name
from shared.contract.texts import localized, technical
from shared.domain.features import FEATURES_VERSION
from shared.runtime.safe_files import read_limited

NETWORK_FILE, MANIFEST_FILE = "model.tflite", "manifest.json"
MAX_NETWORK_BYTES, MAX_MANIFEST_BYTES = 16_000_000, 1_000_000
"""Larger files are invalid; a normal model has 112,000 and 2,000 bytes."""


class ModelError(Exception):
    """A model that cannot be used; the text gives the reason. A technical reason is the same in both languages."""

    def __init__(self, reason: LocalizedText | str) -> None:
        super().__init__(reason)
        self.text = technical(reason) if isinstance(reason, str) else reason

    def __str__(self) -> str:
        return self.text.en


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a model's folder. Raises ModelError when it is missing, invalid or of another version."""
    try:
        manifest: Any = json.loads(read_limited(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES))
    except FileNotFoundError:
        text = localized("{folder}: 아직 모델이 없습니다", "{folder}: no model yet", folder=folder)
        raise ModelError(text) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder}: {MANIFEST_FILE} can't be read: {error}") from error
    if not isinstance(manifest, dict) or not {"id", "checksum", "features", "scaler"} <= manifest.keys():
        raise ModelError(f"{folder}: {MANIFEST_FILE}: id, checksum, features or scaler is missing")
    identity = manifest["id"]
    if not (isinstance(identity, str) and 0 < len(identity) <= 64 and is_valid_name(identity)):
        raise ModelError(f"{folder}: {MANIFEST_FILE}: invalid id: {str(identity)[:80]!r}")
    if manifest["features"] != FEATURES_VERSION:
        raise ModelError(f"{folder}: features version {manifest['features']}, expected {FEATURES_VERSION}")
    return manifest


def read_network(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """Return network and manifest of `Learning_lstm/{channel}/{sensor}`, or of one of its `versions/{id}`.

    While a training replaces the files one by one, the manifest last, the manifest still names a model that is
    complete under `versions/`. Raises ModelError when there is no complete model of this features version.
    """
    manifest = read_manifest(folder)
    if manifest["id"] == PROFILE_MODEL_ID:
        raise ModelError(f"{folder}: the profile is in use: {str(manifest.get('reason'))[:200]}")
    for source in (folder, folder / "versions" / manifest["id"]):
        try:
            content = read_limited(source / NETWORK_FILE, MAX_NETWORK_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ModelError(f"{folder}: {NETWORK_FILE} can't be read: {error}") from error
        if sha256(content) == manifest["checksum"]:
            return content, manifest
    raise ModelError(f"{folder}: {NETWORK_FILE} doesn't match the checksum of {MANIFEST_FILE}")


def sha256(content: bytes) -> str:
    """Return the checksum as the manifest stores it."""
    return hashlib.sha256(content).hexdigest()
