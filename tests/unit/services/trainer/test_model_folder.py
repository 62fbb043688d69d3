from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from services.forecaster.manifest import ModelError, read_manifest, read_model
from services.trainer import folder
from services.trainer.folder import FILES
from services.trainer.plan import Trained
from services.trainer.shelf import Shelf
from shared.contract.messages import PROFILE_MODEL_ID
from shared.domain.features import VERSION

NAMES = {*FILES, "manifest.json"}


def keep(place: Path, version: str) -> None:
    """A kept model whose files hold nothing but its name."""
    files = {name: f"{version} {name}".encode() for name in FILES}
    trained = Trained(place.name, "flow_rate", 0, version, "output", "", 0, 0, True, "better", {"mae": 1.0})
    fields = {name: getattr(trained, name) for name in Trained.__dataclass_fields__}
    folder.keep(place, files, {**fields, "features": VERSION, "scaler": {}})


class Killed(BaseException):
    """The process ends here."""


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
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
    keep(tmp_path, "a")
    folder.promote(tmp_path, "a")
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, "versions"}
    assert {path.name for path in (tmp_path / "versions" / "a").iterdir()} == NAMES


def test_the_next_model_takes_the_same_names_and_the_older_one_stays_for_a_rollback(tmp_path: Path) -> None:
    for version in ("a", "b"):
        keep(tmp_path, version)
        folder.promote(tmp_path, version)
    assert read_model(tmp_path)[0] == b"b model.tflite"
    assert read_model(tmp_path / "versions" / "a")[0] == b"a model.tflite"
    folder.promote(tmp_path, "a")
    assert read_model(tmp_path)[0] == b"a model.tflite"


def test_a_model_that_was_not_promoted_leaves_the_one_in_use_alone(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    folder.promote(tmp_path, "a")
    keep(tmp_path, "b")
    assert read_model(tmp_path)[1]["id"] == "a"


def whole_and_mended(place: Path) -> str:
    """The id of what serves: of a model that is whole, or the profile; after mending nothing half done is left."""
    used = in_use_of(place)
    folder.mend(place)
    assert in_use_of(place) == used
    names = {"manifest.json"} if used == PROFILE_MODEL_ID else NAMES
    assert {path.name for path in place.iterdir()} == {*names, "versions"}
    assert all((place / name).read_text().startswith(used) for name in FILES if used != PROFILE_MODEL_ID)
    return used


def in_use_of(place: Path) -> str:
    identity = read_manifest(place)["id"]
    if identity == PROFILE_MODEL_ID:
        with pytest.raises(ModelError, match="the profile is in use"):
            read_model(place)
    else:
        assert read_model(place)[0] == f"{identity} model.tflite".encode()
    return str(identity)


@pytest.mark.parametrize("step", range(30))
@pytest.mark.parametrize("wanted", ["a", PROFILE_MODEL_ID])
def test_killed_at_any_step_of_a_rollback_a_whole_model_or_the_profile_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, wanted: str
) -> None:
    place = tmp_path / "output/Learning_lstm/flow_rate/001"
    for version in ("a", "b"):
        keep(place, version)
        folder.promote(place, version)
    ended = True
    with monkeypatch.context() as patch:
        killed_at(patch, step)
        try:
            Shelf(tmp_path).use(wanted, 60, "put into use by a test")
        except Killed:
            ended = False
    assert whole_and_mended(place) in ((wanted,) if ended else (wanted, "b"))
    (told,) = Shelf(tmp_path).use(wanted, 120, "put into use by a test")
    assert (told.id, told.at, told.reason) == (wanted, 120, "put into use by a test")
    assert whole_and_mended(place) == wanted


@pytest.mark.parametrize("step", range(26))
def test_killed_at_any_step_a_whole_model_is_in_use_and_the_next_training_mends_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    keep(tmp_path, "a")
    folder.promote(tmp_path, "a")
    with monkeypatch.context() as patch:
        killed_at(patch, step)
        try:
            keep(tmp_path, "b")
            folder.promote(tmp_path, "b")
            ended = True
        except Killed:
            ended = False
    content, manifest = read_model(tmp_path)
    assert content == f"{manifest['id']} model.tflite".encode()
    assert manifest["id"] == ("b" if ended else manifest["id"])
    folder.mend(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, "versions"}
    assert all((tmp_path / name).read_text().startswith(manifest["id"]) for name in FILES)
    assert not list(tmp_path.glob("versions/.*"))


def test_a_network_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    (tmp_path / "versions" / "a" / "model.tflite").write_bytes(b"other")
    with pytest.raises(ModelError, match="checksum"):
        read_model(tmp_path / "versions" / "a")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"id": "a"}', '{"id": "a", "checksum": "", "features": 0, "scaler": {}}']
)
def test_a_manifest_that_cannot_serve_says_why(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=str(tmp_path)):
        read_manifest(tmp_path)


def test_only_the_newest_versions_are_kept_and_always_the_one_in_use(tmp_path: Path) -> None:
    for number in range(folder.KEPT + 3):
        keep(tmp_path, f"2026{number:02}")
        if number == 0:
            folder.promote(tmp_path, "202600")
    folder.prune(tmp_path)
    left = sorted(path.name for path in (tmp_path / "versions").iterdir())
    assert left == ["202600", *(f"2026{number:02}" for number in range(3, folder.KEPT + 3))]


def test_what_is_in_use_is_told_from_the_manifests(tmp_path: Path) -> None:
    for sensor in ("001", "002"):
        keep(tmp_path / "flow_rate" / sensor, f"model-{sensor}")
        folder.promote(tmp_path / "flow_rate" / sensor, f"model-{sensor}")
    keep(tmp_path / "pressure" / "001", "never-promoted")
    assert [trained.id for trained in folder.in_use(tmp_path)] == ["model-001", "model-002"]


def two_kept(data: Path) -> Path:
    """A channel with the versions a and b, of which b is in use."""
    place = data / "output/Learning_lstm/flow_rate/001"
    for version in ("a", "b"):
        keep(place, version)
        folder.promote(place, version)
    return place


def test_the_shelf_lists_every_version_and_which_one_serves(tmp_path: Path) -> None:
    two_kept(tmp_path)
    shelf = Shelf(tmp_path)
    assert [(kept.trained.id, kept.used) for kept in shelf.kept()] == [("a", False), ("b", True)]
    shelf.use("a", 60, "why")
    assert [(kept.trained.id, kept.used, kept.trained.reason) for kept in shelf.kept()] == [
        ("a", True, "why"),
        ("b", False, "better"),
    ]
    shelf.use(PROFILE_MODEL_ID, 60, "why")
    assert [(kept.trained.id, kept.used) for kept in shelf.kept()] == [
        ("a", False),
        ("b", False),
        (PROFILE_MODEL_ID, True),
    ]
    assert [trained.id for trained in shelf.in_use()] == [PROFILE_MODEL_ID]


@pytest.mark.parametrize("name", FILES)
def test_a_version_that_is_not_whole_is_not_put_into_use(tmp_path: Path, name: str) -> None:
    place = two_kept(tmp_path)
    (place / "versions/a" / name).unlink()
    (place / "versions/a" / name).write_text("other")
    with pytest.raises(ModelError, match=f"{name} doesn't match"):
        Shelf(tmp_path).use("a", 60, "why")
    assert whole_and_mended(place) == "b"


@pytest.mark.parametrize("wanted", ["c", "..", "", ".a.part", "../b", "../../../../../etc"])
def test_only_a_kept_version_can_be_put_into_use(tmp_path: Path, wanted: str) -> None:
    place = two_kept(tmp_path)
    with pytest.raises(ModelError, match="no model"):
        Shelf(tmp_path).use(wanted, 60, "why")
    with pytest.raises(ModelError, match="no model"):
        Shelf(tmp_path).use("a", 60, "why", channel="pressure")
    assert whole_and_mended(place) == "b"


def test_the_profile_in_use_outlives_the_pruning_of_versions(tmp_path: Path) -> None:
    place = two_kept(tmp_path)
    Shelf(tmp_path).use(PROFILE_MODEL_ID, 60, "why")
    folder.prune(place)
    assert whole_and_mended(place) == PROFILE_MODEL_ID
    folder.promote(place, "b")
    assert whole_and_mended(place) == "b"
