from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from shared.contract.messages import PROFILE_MODEL_ID, LocalizedText
from shared.domain.features import FEATURES_VERSION
from shared.models import store
from shared.models.manifest import ModelError, read_manifest, read_network
from shared.models.registry import ModelRegistry
from shared.models.store import MODEL_FILES
from shared.models.training_result import TrainingResult

WHY = LocalizedText("낫습니다", "better")
ACTIVATED = LocalizedText("시험에서 선택했습니다", "activated by a test")
CHOSEN = LocalizedText("이유", "why")
FILE_NAMES = {*MODEL_FILES, "manifest.json"}


def save(folder: Path, version: str) -> None:
    """Store a version whose files contain only its id and their names."""
    files = {name: f"{version} {name}".encode() for name in MODEL_FILES}
    result = TrainingResult(folder.name, "flow_rate", 0, version, "output", "", 0, 0, True, WHY, {"mae": 1.0})
    store.save_version(folder, files, {**result.to_manifest(), "features": FEATURES_VERSION, "scaler": {}})


class Killed(BaseException):
    """Simulates a killed process."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Raise Killed at a change of the file system, after `step` changes."""
    remaining = iter(range(step))

    def guard(name: str, owner: Any) -> None:
        real = getattr(owner, name)

        def change(*arguments: Any, **options: Any) -> Any:
            if next(remaining, None) is None:
                raise Killed
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, change)

    for name in ("replace", "rename", "mkdir", "unlink"):
        guard(name, Path)
    for name in ("link", "fsync"):
        guard(name, os)


def test_promoted_model_has_the_four_files_and_a_version(tmp_path: Path) -> None:
    save(tmp_path, "a")
    store.promote(tmp_path, "a")
    assert {path.name for path in tmp_path.iterdir()} == {*FILE_NAMES, "versions"}
    assert {path.name for path in (tmp_path / "versions" / "a").iterdir()} == FILE_NAMES


def test_next_model_replaces_the_files_and_the_older_version_stays(tmp_path: Path) -> None:
    for version in ("a", "b"):
        save(tmp_path, version)
        store.promote(tmp_path, version)
    assert read_network(tmp_path)[0] == b"b model.tflite"
    assert read_network(tmp_path / "versions" / "a")[0] == b"a model.tflite"
    store.promote(tmp_path, "a")
    assert read_network(tmp_path)[0] == b"a model.tflite"


def test_stored_version_leaves_the_active_model_unchanged(tmp_path: Path) -> None:
    save(tmp_path, "a")
    store.promote(tmp_path, "a")
    save(tmp_path, "b")
    assert read_network(tmp_path)[1]["id"] == "a"


def check_recovered(folder: Path) -> str:
    """Recover the folder, check that it is complete and return the active id."""
    active = active_id(folder)
    store.recover(folder)
    assert active_id(folder) == active
    names = {"manifest.json"} if active == PROFILE_MODEL_ID else FILE_NAMES
    assert {path.name for path in folder.iterdir()} == {*names, "versions"}
    assert all((folder / name).read_text().startswith(active) for name in MODEL_FILES if active != PROFILE_MODEL_ID)
    return active


def active_id(folder: Path) -> str:
    identity = read_manifest(folder)["id"]
    if identity == PROFILE_MODEL_ID:
        with pytest.raises(ModelError, match="the profile is in use"):
            read_network(folder)
    else:
        assert read_network(folder)[0] == f"{identity} model.tflite".encode()
    return str(identity)


@pytest.mark.parametrize("step", range(30))
@pytest.mark.parametrize("version", ["a", PROFILE_MODEL_ID])
def test_rollback_killed_at_any_step_leaves_a_complete_model_or_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, version: str
) -> None:
    folder = save_two_versions(tmp_path)
    has_ended = True
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        try:
            ModelRegistry(tmp_path).activate(version, 60, ACTIVATED)
        except Killed:
            has_ended = False
    assert check_recovered(folder) in ((version,) if has_ended else (version, "b"))
    (result,) = ModelRegistry(tmp_path).activate(version, 120, ACTIVATED)
    assert (result.id, result.at, result.reason) == (version, 120, ACTIVATED)
    assert check_recovered(folder) == version


@pytest.mark.parametrize("step", range(26))
def test_promotion_killed_at_any_step_leaves_a_complete_model_and_is_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    save(tmp_path, "a")
    store.promote(tmp_path, "a")
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        try:
            save(tmp_path, "b")
            store.promote(tmp_path, "b")
            has_ended = True
        except Killed:
            has_ended = False
    content, manifest = read_network(tmp_path)
    assert content == f"{manifest['id']} model.tflite".encode()
    assert manifest["id"] == ("b" if has_ended else manifest["id"])
    store.recover(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*FILE_NAMES, "versions"}
    assert all((tmp_path / name).read_text().startswith(manifest["id"]) for name in MODEL_FILES)
    assert not list(tmp_path.glob("versions/.*"))


def test_changed_network_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "a")
    (tmp_path / "versions" / "a" / "model.tflite").write_bytes(b"other")
    with pytest.raises(ModelError, match="checksum"):
        read_network(tmp_path / "versions" / "a")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"id": "a"}', '{"id": "a", "checksum": "", "features": 0, "scaler": {}}']
)
def test_invalid_manifest_is_refused_with_the_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=str(tmp_path)):
        read_manifest(tmp_path)


def test_only_the_newest_versions_and_the_active_one_are_kept(tmp_path: Path) -> None:
    for number in range(store.MAX_VERSIONS + 3):
        save(tmp_path, f"2026{number:02}")
        if number == 0:
            store.promote(tmp_path, "202600")
    store.prune(tmp_path)
    left = sorted(path.name for path in (tmp_path / "versions").iterdir())
    assert left == ["202600", *(f"2026{number:02}" for number in range(3, store.MAX_VERSIONS + 3))]


def test_active_models_are_read_from_the_manifests(tmp_path: Path) -> None:
    for sensor in ("001", "002"):
        save(tmp_path / "flow_rate" / sensor, f"model-{sensor}")
        store.promote(tmp_path / "flow_rate" / sensor, f"model-{sensor}")
    save(tmp_path / "pressure" / "001", "never-promoted")
    assert [result.id for result in store.active_models(tmp_path)] == ["model-001", "model-002"]


def save_two_versions(data: Path) -> Path:
    """Store versions a and b of a channel, of which b is active."""
    folder = data / "output/Learning_lstm/flow_rate/001"
    for version in ("a", "b"):
        save(folder, version)
        store.promote(folder, version)
    return folder


def test_registry_lists_every_version_and_the_active_one(tmp_path: Path) -> None:
    save_two_versions(tmp_path)
    registry = ModelRegistry(tmp_path)
    assert [(model.result.id, model.active) for model in registry.versions()] == [("a", False), ("b", True)]
    registry.activate("a", 60, CHOSEN)
    assert [(model.result.id, model.active, model.result.reason) for model in registry.versions()] == [
        ("a", True, CHOSEN),
        ("b", False, WHY),
    ]
    registry.activate(PROFILE_MODEL_ID, 60, CHOSEN)
    assert [(model.result.id, model.active) for model in registry.versions()] == [
        ("a", False),
        ("b", False),
        (PROFILE_MODEL_ID, True),
    ]
    assert [result.id for result in registry.active()] == [PROFILE_MODEL_ID]


@pytest.mark.parametrize("name", MODEL_FILES)
def test_incomplete_version_is_not_activated(tmp_path: Path, name: str) -> None:
    folder = save_two_versions(tmp_path)
    (folder / "versions/a" / name).unlink()
    (folder / "versions/a" / name).write_text("other")
    with pytest.raises(ModelError, match=f"{name} doesn't match"):
        ModelRegistry(tmp_path).activate("a", 60, CHOSEN)
    assert check_recovered(folder) == "b"


@pytest.mark.parametrize("version", ["c", "..", "", ".a.part", "../b", "../../../../../etc"])
def test_only_a_stored_version_can_be_activated(tmp_path: Path, version: str) -> None:
    folder = save_two_versions(tmp_path)
    with pytest.raises(ModelError, match="no model"):
        ModelRegistry(tmp_path).activate(version, 60, CHOSEN)
    with pytest.raises(ModelError, match="no model"):
        ModelRegistry(tmp_path).activate("a", 60, CHOSEN, channel="pressure")
    assert check_recovered(folder) == "b"


def test_active_profile_is_kept_when_versions_are_pruned(tmp_path: Path) -> None:
    folder = save_two_versions(tmp_path)
    ModelRegistry(tmp_path).activate(PROFILE_MODEL_ID, 60, CHOSEN)
    store.prune(folder)
    assert check_recovered(folder) == PROFILE_MODEL_ID
    store.promote(folder, "b")
    assert check_recovered(folder) == "b"


def test_manifest_has_the_reason_in_both_languages(tmp_path: Path) -> None:
    folder = save_two_versions(tmp_path)
    ModelRegistry(tmp_path).activate("a", 60, CHOSEN)
    manifest = read_manifest(folder)
    assert (manifest["reason"], manifest["reason_ko"]) == (CHOSEN.en, CHOSEN.ko)
    assert read_manifest(folder / "versions/a")["reason_ko"] == WHY.ko


def test_older_manifest_without_korean_reason_is_read(tmp_path: Path) -> None:
    folder = save_two_versions(tmp_path)
    manifest = {name: value for name, value in read_manifest(folder).items() if name not in ("reason_ko", "demotion")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (result,) = ModelRegistry(tmp_path).active()
    assert (result.reason, result.demotion) == (LocalizedText("better", "better"), False)


def test_refused_activation_is_explained_in_both_languages(tmp_path: Path) -> None:
    save_two_versions(tmp_path)
    with pytest.raises(ModelError) as refusal:
        ModelRegistry(tmp_path).activate("c", 60, CHOSEN)
    assert refusal.value.text.ko == "이 센서와 채널에 c 모델이 없습니다. ./wvr models로 모델 목록을 확인하세요"
    assert refusal.value.text.en == str(refusal.value)
