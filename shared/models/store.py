"""Where trained models lie: each whole in `versions/{id}`, the one in use also in the folder above.

`Learning_lstm/{channel}/{sensor}/` holds model.tflite, model.keras, scaler.joblib and manifest.json under these names.
A model is written beside and renamed to `versions/{id}`; then its files replace those in use, manifest last. Killed
between two of them, the old manifest still names a model that is whole under `versions/`. Where the profile was put
into use, there is a manifest alone, that says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from services.trainer.training_protocol import TrainingResult
from shared.contract.messages import PROFILE_MODEL_ID
from shared.domain.features import FEATURES_VERSION
from shared.models.manifest import MANIFEST_FILE, NETWORK_FILE, ModelError, read_manifest, sha256
from shared.runtime.safe_files import fsync_path, read_limited

KERAS_FILE, SCALER_FILE = "model.keras", "scaler.joblib"
MODEL_FILES = (NETWORK_FILE, KERAS_FILE, SCALER_FILE)
MAX_FILE_BYTES = 64_000_000
"""Bytes; none of ours comes near."""
MAX_EPOCH_SECONDS = 4_102_444_800
"""The year 2100, epoch seconds."""
MAX_VERSIONS = 12
"""Versions that stay for a rollback."""
OVERRIDABLE = ("at", "path", "promoted", "reason")
"""What the manifest in use may say otherwise than that of its version: when it was put into use again, and why."""


@contextlib.contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Meanwhile no other process changes a channel's models: a training whose trainer was killed, or ./wvr models."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def save_version(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Path:
    """Writes a model beside and renames it to `versions/{id}`; the manifest comes last, with all checksums."""
    final = folder / "versions" / str(manifest["id"])
    beside = final.with_name(f".{final.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    sums = {name: sha256(content) for name, content in files.items()}
    whole = {**manifest, "checksum": sums[NETWORK_FILE], "checksums": sums}
    for name, content in files.items():
        _write(beside / name, content)
    _write(beside / MANIFEST_FILE, json.dumps(whole, indent=1, ensure_ascii=False).encode())
    shutil.rmtree(final, ignore_errors=True)
    beside.rename(final)
    fsync_path(final.parent)
    return final


def promote(folder: Path, version: str, overrides: Mapping[str, Any] | None = None) -> None:
    """Puts a kept version into use, file by file, manifest last; `told` is said of it besides, or otherwise."""
    source = folder / "versions" / version
    for name in MODEL_FILES if overrides else (*MODEL_FILES, MANIFEST_FILE):
        beside = folder / f".{name}.part"
        beside.unlink(missing_ok=True)
        try:
            os.link(source / name, beside)
        except OSError:  # a file system without hard links
            shutil.copyfile(source / name, beside)
        beside.replace(folder / name)
        beside.unlink(missing_ok=True)  # renaming onto a link of the same file does nothing
    if overrides:
        _replace_manifest(folder, {**read_manifest(source), **overrides})
    fsync_path(folder)


def deactivate(folder: Path, overrides: Mapping[str, Any]) -> None:
    """Puts the profile into use; the versions stay. The manifest goes first: from then on no model serves."""
    _replace_manifest(
        folder, {"id": PROFILE_MODEL_ID, "checksum": "", "features": FEATURES_VERSION, "scaler": {}, **overrides}
    )
    recover(folder)


def verify(version: Path) -> dict[str, Any]:
    """Manifest of a kept version. Raises ModelError when its files are not those of its checksums, or of another id."""
    manifest = read_manifest(version)
    sums = manifest.get("checksums")
    sums = sums if isinstance(sums, dict) else {}
    bad = [name for name in MODEL_FILES if not sums.get(name) or _file_checksum(version / name) != sums[name]]
    if bad or manifest["id"] != version.name or manifest["checksum"] != sums[NETWORK_FILE]:
        raise ModelError(f"{version}: {', '.join(bad) or MANIFEST_FILE} doesn't match the checksums of {MANIFEST_FILE}")
    return manifest


def _replace_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    beside = folder / f".{MANIFEST_FILE}.part"
    beside.unlink(missing_ok=True)
    _write(beside, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    beside.replace(folder / MANIFEST_FILE)
    fsync_path(folder)


def recover(folder: Path) -> None:
    """After a kill: removes what was half written and ends an exchange that was half done."""
    for left in (*folder.glob(".*.part"), *folder.glob("versions/.*.part")):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    with contextlib.suppress(ModelError):
        manifest = read_manifest(folder)
        if manifest["id"] == PROFILE_MODEL_ID:
            for name in MODEL_FILES:
                (folder / name).unlink(missing_ok=True)
            return
        sums = manifest.get("checksums")
        same = isinstance(sums, dict) and all(_file_checksum(folder / name) == sums.get(name) for name in MODEL_FILES)
        if not same and (folder / "versions" / manifest["id"]).exists():
            promote(folder, manifest["id"], {name: manifest[name] for name in OVERRIDABLE if name in manifest})


def active_models(models: Path) -> Iterator[TrainingResult]:
    """What serves, by the manifests under `Learning_lstm/`."""
    for folder in sorted(models.glob("*/*/")):
        with contextlib.suppress(ModelError):
            yield parse_manifest(folder, read_manifest(folder))


def parse_manifest(folder: Path, manifest: Mapping[str, Any]) -> TrainingResult:
    """What a manifest of a channel's folder says of its training. Raises ModelError where that can't be."""
    said: dict[str, Any] = {name: manifest.get(name) for name in TrainingResult.__dataclass_fields__}
    if (said["sensor"], said["channel"]) != (folder.name, folder.parent.name):
        raise ModelError(f"{folder}: {MANIFEST_FILE} is that of another channel")
    times = [said[name] for name in ("at", "trained_from", "trained_to")]
    texts = [said[name] for name in ("path", "checksum", "reason")]
    figures = said["metrics"].values() if isinstance(said["metrics"], dict) else [None]
    if not all(isinstance(at, int) and 0 <= at < MAX_EPOCH_SECONDS for at in times):
        raise ModelError(f"{folder}: {MANIFEST_FILE}: no times: {times}")
    if not all(isinstance(one, int | float) for one in figures):
        raise ModelError(f"{folder}: {MANIFEST_FILE}: metrics are no figures")
    if not all(isinstance(text, str) for text in texts) or type(said["promoted"]) is not bool:
        raise ModelError(f"{folder}: {MANIFEST_FILE} is not whole")
    return TrainingResult(**said)


def _file_checksum(path: Path) -> str:
    """Empty for what is no file, or too large to be ours."""
    with contextlib.suppress(OSError):
        return sha256(read_limited(path, MAX_FILE_BYTES))
    return ""


def prune(folder: Path) -> None:
    """Deletes all but the newest versions; the one in use stays."""
    used = None
    with contextlib.suppress(ModelError):
        used = read_manifest(folder)["id"]
    versions = sorted(path for path in (folder / "versions").glob("[!.]*") if path.name != used)
    for old in versions[: -MAX_VERSIONS or None]:
        shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
