"""Are the models that serve whole, and those that their manifests name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli.doctor_checks.finding import Finding, note, ok, wrong
from services.forecaster.manifest import ModelError, read_manifest, sha256
from shared.contract.messages import PROFILE_MODEL_ID
from shared.settings import Settings


def check(settings: Settings) -> Iterator[Finding]:
    """Compares every model's files with the checksums of its manifest."""
    folders = [path.parent for path in sorted(settings.models.glob("*/*/manifest.json"))]
    if not folders:
        yield note("no model is trained yet; forecasts follow the week's profile", "with enough days it is")
    for folder in folders:
        yield _model(folder)


def _model(folder: Path) -> Finding:
    name = f"model {folder.parent.name}/{folder.name}"
    try:
        manifest = read_manifest(folder)
        if manifest["id"] == PROFILE_MODEL_ID:
            return note(
                f"{name}: the profile forecasts: {str(manifest.get('reason'))[:200]}", "./wvr models lists others"
            )
        sums = {"model.tflite": manifest["checksum"], **manifest.get("checksums", {})}
        bad = [file for file, checksum in sums.items() if sha256((folder / file).read_bytes()) != checksum]
    except (ModelError, OSError) as error:
        return wrong(f"{name}: {error}", "./wvr train; until then forecasts follow the week's profile")
    if bad:
        return wrong(f"{name}: {', '.join(bad)} is not what the manifest says", "./wvr train")
    return ok(f"{name}: {manifest['id']} is whole")
