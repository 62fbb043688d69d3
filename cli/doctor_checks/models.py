"""Checksums of the active models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli.doctor_checks.finding import Finding, note, ok, wrong
from shared.contract.messages import PROFILE_MODEL_ID
from shared.contract.status_codes import STATUS_CODES, problem
from shared.models.manifest import ModelError, read_manifest, sha256
from shared.runtime.processor import can_run_tensorflow
from shared.settings import Settings


def check(settings: Settings) -> Iterator[Finding]:
    """Compare the files of each active model with the checksums of its manifest."""
    folders = [path.parent for path in sorted(settings.models.glob("*/*/manifest.json"))]
    if not can_run_tensorflow():
        yield note(problem("processor_without_avx").text.en, STATUS_CODES["processor_without_avx"].action.en)
    elif not folders:
        yield note("no model is trained yet; the profile forecasts", "wait until there are enough days of readings")
    for folder in folders:
        yield _model(folder)


def _model(folder: Path) -> Finding:
    name = f"model {folder.parent.name}/{folder.name}"
    try:
        manifest = read_manifest(folder)
        if manifest["id"] == PROFILE_MODEL_ID:
            reason = str(manifest.get("reason"))[:200]
            return note(f"{name}: the profile forecasts: {reason}", "./wvr models lists other models")
        checksums = {"model.tflite": manifest["checksum"], **manifest.get("checksums", {})}
        bad = [file for file, checksum in checksums.items() if sha256((folder / file).read_bytes()) != checksum]
    except (ModelError, OSError) as error:
        return wrong(f"{name}: {error}", "./wvr train; until then the profile forecasts")
    if bad:
        return wrong(f"{name}: {', '.join(bad)} does not match the manifest", "./wvr train")
    return ok(f"{name}: the files of {manifest['id']} match the manifest")
