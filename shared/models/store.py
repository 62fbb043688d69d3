"""The files of trained models: each version complete in `versions/{id}`, the active one also in the folder above.

`Learning_lstm/{channel}/{sensor}/` holds model.tflite, model.keras, scaler.joblib and manifest.json of the active one.
A version is written to a temporary folder and renamed to `versions/{id}`. Its activation replaces the active files one
by one, the manifest last. After a kill in between, the old manifest still names a complete model under `versions/`.
While the profile is active, the folder has only a manifest with the id `profile`.
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

from shared.contract.messages import PROFILE_MODEL_ID, LocalizedText
from shared.contract.texts import localized
from shared.domain.features import FEATURES_VERSION
from shared.models.manifest import MANIFEST_FILE, NETWORK_FILE, ModelError, read_manifest, sha256
from shared.models.training_result import TrainingResult
from shared.runtime.safe_files import fsync_path, read_limited

KERAS_FILE, SCALER_FILE = "model.keras", "scaler.joblib"
MODEL_FILES = (NETWORK_FILE, KERAS_FILE, SCALER_FILE)
MAX_FILE_BYTES = 64_000_000
"""Larger files are invalid; a normal model is far smaller."""
MAX_EPOCH_SECONDS = 4_102_444_800
"""The year 2100: times from there on are invalid."""
MAX_VERSIONS = 12
"""Versions that are kept for a rollback."""
OVERRIDABLE = ("at", "path", "promoted", "reason", "reason_ko", "demotion")
"""Keys of the active manifest that may differ from its version's: time and reason of the newest activation."""


@contextlib.contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Lock the models of a channel against other processes: an orphaned training, or ./wvr models."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def save_version(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Path:
    """Write a version to a temporary folder and rename it to `versions/{id}`; the manifest gets all checksums."""
    final = folder / "versions" / str(manifest["id"])
    temporary = final.with_name(f".{final.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    checksums = {name: sha256(content) for name, content in files.items()}
    complete = {**manifest, "checksum": checksums[NETWORK_FILE], "checksums": checksums}
    for name, content in files.items():
        _write(temporary / name, content)
    _write(temporary / MANIFEST_FILE, json.dumps(complete, indent=1, ensure_ascii=False).encode())
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    fsync_path(final.parent)
    return final


def promote(folder: Path, version: str, overrides: Mapping[str, Any] | None = None) -> None:
    """Activate a stored version, file by file, manifest last; `overrides` replace keys of its manifest."""
    source = folder / "versions" / version
    for name in MODEL_FILES if overrides else (*MODEL_FILES, MANIFEST_FILE):
        temporary = folder / f".{name}.part"
        temporary.unlink(missing_ok=True)
        try:
            os.link(source / name, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(source / name, temporary)
        temporary.replace(folder / name)
        temporary.unlink(missing_ok=True)  # renaming onto a link of the same file does nothing
    if overrides:
        _replace_manifest(folder, {**read_manifest(source), **overrides})
    fsync_path(folder)


def deactivate(folder: Path, overrides: Mapping[str, Any]) -> None:
    """Activate the profile; the versions stay. The manifest is replaced first, so that no model is active after it."""
    _replace_manifest(
        folder, {"id": PROFILE_MODEL_ID, "checksum": "", "features": FEATURES_VERSION, "scaler": {}, **overrides}
    )
    recover(folder)


def verify(version: Path) -> dict[str, Any]:
    """Return the manifest of a stored version. Raises ModelError when a checksum or the id does not match."""
    manifest = read_manifest(version)
    checksums = manifest.get("checksums")
    checksums = checksums if isinstance(checksums, dict) else {}
    bad = [name for name in MODEL_FILES if not checksums.get(name) or _file_checksum(version / name) != checksums[name]]
    if bad or manifest["id"] != version.name or manifest["checksum"] != checksums[NETWORK_FILE]:
        names = ", ".join(bad) or MANIFEST_FILE
        raise ModelError(
            localized(
                "{version}: {names}이(가) {manifest}의 체크섬과 다릅니다",
                "{version}: {names} doesn't match the checksums of {manifest}",
                version=version,
                names=names,
                manifest=MANIFEST_FILE,
            )
        )
    return manifest


def _replace_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    temporary = folder / f".{MANIFEST_FILE}.part"
    temporary.unlink(missing_ok=True)
    _write(temporary, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    temporary.replace(folder / MANIFEST_FILE)
    fsync_path(folder)


def recover(folder: Path) -> None:
    """Remove temporary files that a killed process has left, and complete an unfinished activation."""
    for leftover in (*folder.glob(".*.part"), *folder.glob("versions/.*.part")):
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
    with contextlib.suppress(ModelError):
        manifest = read_manifest(folder)
        if manifest["id"] == PROFILE_MODEL_ID:
            for name in MODEL_FILES:
                (folder / name).unlink(missing_ok=True)
            return
        checksums = manifest.get("checksums")
        is_complete = isinstance(checksums, dict) and all(
            _file_checksum(folder / name) == checksums.get(name) for name in MODEL_FILES
        )
        if not is_complete and (folder / "versions" / manifest["id"]).exists():
            promote(folder, manifest["id"], {name: manifest[name] for name in OVERRIDABLE if name in manifest})


def active_models(models: Path) -> Iterator[TrainingResult]:
    """Yield the active models by the manifests under `Learning_lstm/`."""
    for folder in sorted(models.glob("*/*/")):
        with contextlib.suppress(ModelError):
            yield parse_manifest(folder, read_manifest(folder))


def parse_manifest(folder: Path, manifest: Mapping[str, Any]) -> TrainingResult:
    """Return the training result in a manifest of a channel's folder. Raises ModelError for invalid keys."""
    fields: dict[str, Any] = {name: manifest.get(name) for name in TrainingResult.__dataclass_fields__}
    fields["demotion"] = manifest.get("demotion", False)
    reason_ko = manifest.get("reason_ko", fields["reason"])  # older manifests have only the English reason
    if (fields["sensor"], fields["channel"]) != (folder.name, folder.parent.name):
        raise ModelError(f"{folder}: {MANIFEST_FILE} belongs to another sensor or channel")
    times = [fields[name] for name in ("at", "trained_from", "trained_to")]
    texts = [reason_ko, *(fields[name] for name in ("path", "checksum", "reason"))]
    flags = [fields["promoted"], fields["demotion"]]
    metrics = fields["metrics"].values() if isinstance(fields["metrics"], dict) else [None]
    if not all(isinstance(at, int) and 0 <= at < MAX_EPOCH_SECONDS for at in times):
        raise ModelError(
            f"{folder}: {MANIFEST_FILE}: invalid at, trained_from or trained_to: expected epoch seconds, got {times}"
        )
    if not all(isinstance(metric, int | float) for metric in metrics):
        raise ModelError(f"{folder}: {MANIFEST_FILE}: invalid metrics: expected numbers by name")
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(flag, bool) for flag in flags):
        raise ModelError(
            f"{folder}: {MANIFEST_FILE}: path, checksum, reason, promoted or demotion is missing or invalid"
        )
    return TrainingResult(**{**fields, "reason": LocalizedText(reason_ko, fields["reason"])})


def _file_checksum(path: Path) -> str:
    """Return the checksum of a file; empty when it cannot be read or is too large."""
    with contextlib.suppress(OSError):
        return sha256(read_limited(path, MAX_FILE_BYTES))
    return ""


def prune(folder: Path) -> None:
    """Delete all but the newest versions; the active one stays."""
    active = None
    with contextlib.suppress(ModelError):
        active = read_manifest(folder)["id"]
    versions = sorted(path for path in (folder / "versions").glob("[!.]*") if path.name != active)
    for old in versions[: -MAX_VERSIONS or None]:
        shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
