"""The model registry of a site: stored versions of each channel, the active one, and activation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from shared.contract.messages import PROFILE_MODEL_ID, LocalizedText
from shared.contract.texts import localized
from shared.models import store
from shared.models.manifest import ModelError, read_manifest
from shared.models.training_result import TrainingResult, reason_keys


class RegisteredModel(NamedTuple):
    """A stored version of a channel's model."""

    result: TrainingResult
    active: bool


class ModelRegistry:
    """The models in `output/Learning_lstm/{channel}/{sensor}/` of the data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._models = data / "output/Learning_lstm"

    def active(self) -> Iterator[TrainingResult]:
        """Return the active models; first completes changes that a killed process has left unfinished."""
        for folder in self._channel_folders():
            with store.exclusive_lock(folder):
                store.recover(folder)
        return store.active_models(self._models)

    def versions(self) -> Iterator[RegisteredModel]:
        """Yield every version by channel, oldest first; an active profile comes last."""
        for folder in self._channel_folders():
            active = None
            with suppress(ModelError):
                active = store.parse_manifest(folder, read_manifest(folder))
            for version_folder in sorted((folder / "versions").glob("[!.]*")):
                with suppress(ModelError):
                    version = store.parse_manifest(folder, read_manifest(version_folder))
                    is_active = active is not None and active.id == version.id
                    yield RegisteredModel(active if active and is_active else version, is_active)
            if active and active.id == PROFILE_MODEL_ID:
                yield RegisteredModel(active, True)

    def activate(
        self,
        version: str,
        at: int,
        reason: LocalizedText,
        sensor: str = "",
        channel: str = "",
        *,
        demotion: bool = False,
    ) -> list[TrainingResult]:
        """Activate a stored version, or `profile`, from `at` (epoch seconds) on, at one sensor or channel if given.

        `demotion`: whether the profile replaces a model that was worse than it. Raises ModelError when there is no such
        version, or its files are incomplete; then nothing has changed. Without any stored model, the profile is active
        already.
        """
        folders = [
            folder
            for folder in self._channel_folders()
            if sensor in ("", folder.name) and channel in ("", folder.parent.name) and _has_version(folder, version)
        ]
        if not folders and (version != PROFILE_MODEL_ID or sensor or channel):
            raise ModelError(
                localized(
                    "이 센서와 채널에 {version} 모델이 없습니다. ./wvr models로 모델 목록을 확인하세요",
                    "no model {version} of this sensor and channel; ./wvr models lists the models",
                    version=version,
                )
            )
        if version != PROFILE_MODEL_ID:
            for folder in folders:
                store.verify(folder / "versions" / version)
        return [self._activate_in(folder, version, at, reason, demotion) for folder in folders]

    def _activate_in(
        self, folder: Path, version: str, at: int, reason: LocalizedText, demotion: bool
    ) -> TrainingResult:
        overrides = {
            "at": at,
            "path": folder.relative_to(self._data).as_posix(),
            "promoted": True,
            **reason_keys(reason),
            "demotion": demotion,
        }
        with store.exclusive_lock(folder):
            store.recover(folder)
            if version == PROFILE_MODEL_ID:
                identity = {"sensor": folder.name, "channel": folder.parent.name}
                span = {"trained_from": at, "trained_to": at, "metrics": {}}
                store.deactivate(folder, {**identity, **span, **overrides})
            else:
                store.promote(folder, version, overrides)
            return store.parse_manifest(folder, read_manifest(folder))

    def _channel_folders(self) -> list[Path]:
        return sorted(self._models.glob("*/*/"))


def _has_version(folder: Path, version: str) -> bool:
    if version == PROFILE_MODEL_ID:
        return (folder / "versions").is_dir()
    return version in {path.name for path in (folder / "versions").glob("[!.]*")}
