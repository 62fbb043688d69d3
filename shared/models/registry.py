"""All models of a site: which are kept, which serve, and another one put into use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from services.trainer.training_protocol import TrainingResult
from shared.contract.messages import PROFILE_MODEL_ID
from shared.models import store
from shared.models.manifest import ModelError, read_manifest


class RegisteredModel(NamedTuple):
    """A version of a channel's model."""

    result: TrainingResult
    active: bool


class ModelRegistry:
    """`output/Learning_lstm/{channel}/{sensor}/` below the data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._models = data / "output/Learning_lstm"

    def active(self) -> Iterator[TrainingResult]:
        """What serves, by the manifests; ends what a kill has left half done."""
        for place in self._channel_folders():
            with store.exclusive_lock(place):
                store.recover(place)
        return store.active_models(self._models)

    def versions(self) -> Iterator[RegisteredModel]:
        """Every version by channel, oldest first; where the profile was put into use, it comes last."""
        for place in self._channel_folders():
            used = None
            with suppress(ModelError):
                used = store.parse_manifest(place, read_manifest(place))
            for version in sorted((place / "versions").glob("[!.]*")):
                with suppress(ModelError):
                    one = store.parse_manifest(place, read_manifest(version))
                    yield RegisteredModel(used, True) if used and used.id == one.id else RegisteredModel(one, False)
            if used and used.id == PROFILE_MODEL_ID:
                yield RegisteredModel(used, True)

    def activate(self, version: str, at: int, reason: str, sensor: str = "", channel: str = "") -> list[TrainingResult]:
        """Puts a kept version, or `profile`, into use from `at` (epoch seconds); of one sensor or channel only.

        Raises ModelError when there is no such version, or it is not whole; then nothing has changed. Where no model
        was ever kept, the profile is in use already.
        """
        places = [
            place
            for place in self._channel_folders()
            if sensor in ("", place.name) and channel in ("", place.parent.name) and _has_version(place, version)
        ]
        if not places and (version != PROFILE_MODEL_ID or sensor or channel):
            raise ModelError(f"there is no model {version} of this sensor and channel; ./wvr models lists them")
        if version != PROFILE_MODEL_ID:
            for place in places:
                store.verify(place / "versions" / version)
        return [self._activate_in(place, version, at, reason) for place in places]

    def _activate_in(self, place: Path, version: str, at: int, reason: str) -> TrainingResult:
        said = {"at": at, "path": place.relative_to(self._data).as_posix(), "promoted": True, "reason": reason}
        with store.exclusive_lock(place):
            store.recover(place)
            if version == PROFILE_MODEL_ID:
                span = {"trained_from": at, "trained_to": at, "metrics": {}}
                store.deactivate(place, {"sensor": place.name, "channel": place.parent.name, **span, **said})
            else:
                store.promote(place, version, said)
            return store.parse_manifest(place, read_manifest(place))

    def _channel_folders(self) -> list[Path]:
        return sorted(self._models.glob("*/*/"))


def _has_version(place: Path, version: str) -> bool:
    if version == PROFILE_MODEL_ID:
        return (place / "versions").is_dir()
    return version in {path.name for path in (place / "versions").glob("[!.]*")}
