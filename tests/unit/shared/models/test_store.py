from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from services.trainer.training_protocol import TrainingResult
from shared.contract.messages import PROFILE_MODEL_ID
from shared.domain.features import FEATURES_VERSION
from shared.models import store
from shared.models.manifest import ModelError, read_manifest, read_network
from shared.models.registry import ModelRegistry
from shared.models.store import MODEL_FILES

FILE_NAMES = {*MODEL_FILES, "manifest.json"}


def save(place: Path, version: str) -> None:
    """A kept model whose files hold nothing but its name."""
    files = {name: f"{version} {name}".encode() for name in MODEL_FILES}
    trained = TrainingResult(place.name, "flow_rate", 0, version, "output", "", 0, 0, True, "better", {"mae": 1.0})
    fields = {name: getattr(trained, name) for name in TrainingResult.__dataclass_fields__}
    store.save_version(place, files, {**fields, "features": FEATURES_VERSION, "scaler": {}})


class Killed(BaseException):
    """The process ends here."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Lets so many changes of the file system through, and then ends the process."""
    left = iter(range(step))

    def guard(name: str, owner: Any) -> None:
        real = getattr(owner, name)

        def change(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                raise Killed
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, change)

    for name in ("replace", "rename", "mkdir", "unlink"):
        guard(name, Path)
    for name in ("link", "fsync"):
        guard(name, os)


def test_a_promoted_model_lies_under_the_four_names_and_under_its_version(tmp_path: Path) -> None:
    save(tmp_path, "a")
    store.promote(tmp_path, "a")
    assert {path.name for path in tmp_path.iterdir()} == {*FILE_NAMES, "versions"}
    assert {path.name for path in (tmp_path / "versions" / "a").iterdir()} == FILE_NAMES


def test_the_next_model_takes_the_same_names_and_the_older_one_stays_for_a_rollback(tmp_path: Path) -> None:
    for version in ("a", "b"):
        save(tmp_path, version)
        store.promote(tmp_path, version)
    assert read_network(tmp_path)[0] == b"b model.tflite"
    assert read_network(tmp_path / "versions" / "a")[0] == b"a model.tflite"
    store.promote(tmp_path, "a")
    assert read_network(tmp_path)[0] == b"a model.tflite"


def test_a_model_that_was_not_promoted_leaves_the_one_in_use_alone(tmp_path: Path) -> None:
    save(tmp_path, "a")
    store.promote(tmp_path, "a")
    save(tmp_path, "b")
    assert read_network(tmp_path)[1]["id"] == "a"


def check_recovered(place: Path) -> str:
    """The id of what serves: of a model that is whole, or the profile; after mending nothing half done is left."""
    used = active_id(place)
    store.recover(place)
    assert active_id(place) == used
    names = {"manifest.json"} if used == PROFILE_MODEL_ID else FILE_NAMES
    assert {path.name for path in place.iterdir()} == {*names, "versions"}
    assert all((place / name).read_text().startswith(used) for name in MODEL_FILES if used != PROFILE_MODEL_ID)
    return used


def active_id(place: Path) -> str:
    identity = read_manifest(place)["id"]
    if identity == PROFILE_MODEL_ID:
        with pytest.raises(ModelError, match="the profile is in use"):
            read_network(place)
    else:
        assert read_network(place)[0] == f"{identity} model.tflite".encode()
    return str(identity)


@pytest.mark.parametrize("step", range(30))
@pytest.mark.parametrize("wanted", ["a", PROFILE_MODEL_ID])
def test_killed_at_any_step_of_a_rollback_a_whole_model_or_the_profile_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, wanted: str
) -> None:
    place = tmp_path / "output/Learning_lstm/flow_rate/001"
    for version in ("a", "b"):
        save(place, version)
        store.promote(place, version)
    ended = True
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        try:
            ModelRegistry(tmp_path).activate(wanted, 60, "put into use by a test")
        except Killed:
            ended = False
    assert check_recovered(place) in ((wanted,) if ended else (wanted, "b"))
    (told,) = ModelRegistry(tmp_path).activate(wanted, 120, "put into use by a test")
    assert (told.id, told.at, told.reason) == (wanted, 120, "put into use by a test")
    assert check_recovered(place) == wanted


@pytest.mark.parametrize("step", range(26))
def test_killed_at_any_step_a_whole_model_is_in_use_and_the_next_training_mends_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    save(tmp_path, "a")
    store.promote(tmp_path, "a")
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        try:
            save(tmp_path, "b")
            store.promote(tmp_path, "b")
            ended = True
        except Killed:
            ended = False
    content, manifest = read_network(tmp_path)
    assert content == f"{manifest['id']} model.tflite".encode()
    assert manifest["id"] == ("b" if ended else manifest["id"])
    store.recover(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*FILE_NAMES, "versions"}
    assert all((tmp_path / name).read_text().startswith(manifest["id"]) for name in MODEL_FILES)
    assert not list(tmp_path.glob("versions/.*"))


def test_a_network_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "a")
    (tmp_path / "versions" / "a" / "model.tflite").write_bytes(b"other")
    with pytest.raises(ModelError, match="checksum"):
        read_network(tmp_path / "versions" / "a")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"id": "a"}', '{"id": "a", "checksum": "", "features": 0, "scaler": {}}']
)
def test_a_manifest_that_cannot_serve_says_why(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=str(tmp_path)):
        read_manifest(tmp_path)


def test_only_the_newest_versions_are_kept_and_always_the_one_in_use(tmp_path: Path) -> None:
    for number in range(store.MAX_VERSIONS + 3):
        save(tmp_path, f"2026{number:02}")
        if number == 0:
            store.promote(tmp_path, "202600")
    store.prune(tmp_path)
    left = sorted(path.name for path in (tmp_path / "versions").iterdir())
    assert left == ["202600", *(f"2026{number:02}" for number in range(3, store.MAX_VERSIONS + 3))]


def test_what_is_in_use_is_told_from_the_manifests(tmp_path: Path) -> None:
    for sensor in ("001", "002"):
        save(tmp_path / "flow_rate" / sensor, f"model-{sensor}")
        store.promote(tmp_path / "flow_rate" / sensor, f"model-{sensor}")
    save(tmp_path / "pressure" / "001", "never-promoted")
    assert [trained.id for trained in store.active_models(tmp_path)] == ["model-001", "model-002"]


def save_two_versions(data: Path) -> Path:
    """A channel with the versions a and b, of which b is in use."""
    place = data / "output/Learning_lstm/flow_rate/001"
    for version in ("a", "b"):
        save(place, version)
        store.promote(place, version)
    return place


def test_the_shelf_lists_every_version_and_which_one_serves(tmp_path: Path) -> None:
    save_two_versions(tmp_path)
    shelf = ModelRegistry(tmp_path)
    assert [(kept.result.id, kept.active) for kept in shelf.versions()] == [("a", False), ("b", True)]
    shelf.activate("a", 60, "why")
    assert [(kept.result.id, kept.active, kept.result.reason) for kept in shelf.versions()] == [
        ("a", True, "why"),
        ("b", False, "better"),
    ]
    shelf.activate(PROFILE_MODEL_ID, 60, "why")
    assert [(kept.result.id, kept.active) for kept in shelf.versions()] == [
        ("a", False),
        ("b", False),
        (PROFILE_MODEL_ID, True),
    ]
    assert [trained.id for trained in shelf.active()] == [PROFILE_MODEL_ID]


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_version_that_is_not_whole_is_not_put_into_use(tmp_path: Path, name: str) -> None:
    place = save_two_versions(tmp_path)
    (place / "versions/a" / name).unlink()
    (place / "versions/a" / name).write_text("other")
    with pytest.raises(ModelError, match=f"{name} doesn't match"):
        ModelRegistry(tmp_path).activate("a", 60, "why")
    assert check_recovered(place) == "b"


@pytest.mark.parametrize("wanted", ["c", "..", "", ".a.part", "../b", "../../../../../etc"])
def test_only_a_kept_version_can_be_put_into_use(tmp_path: Path, wanted: str) -> None:
    place = save_two_versions(tmp_path)
    with pytest.raises(ModelError, match="no model"):
        ModelRegistry(tmp_path).activate(wanted, 60, "why")
    with pytest.raises(ModelError, match="no model"):
        ModelRegistry(tmp_path).activate("a", 60, "why", channel="pressure")
    assert check_recovered(place) == "b"


def test_the_profile_in_use_outlives_the_pruning_of_versions(tmp_path: Path) -> None:
    place = save_two_versions(tmp_path)
    ModelRegistry(tmp_path).activate(PROFILE_MODEL_ID, 60, "why")
    store.prune(place)
    assert check_recovered(place) == PROFILE_MODEL_ID
    store.promote(place, "b")
    assert check_recovered(place) == "b"
