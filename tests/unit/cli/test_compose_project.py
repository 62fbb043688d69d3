"""Each clone has its own Compose project; a site from before that keeps its project and volume."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cli import compose_project
from cli.compose_project import PROJECT_LABEL, VARIABLE, keep_name, project_name


class FakeEngine:
    """A Docker engine with these sites (project to data folder) and volumes."""

    def __init__(self, sites: dict[str, Path], *volumes: str) -> None:
        self.volumes = volumes
        self.containers = {
            name: {
                "Mounts": [{"Destination": "/data", "Source": str(folder)}],
                "Config": {"Labels": {PROJECT_LABEL: name}},
            }
            for name, folder in sites.items()
        }

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        match command[1:]:
            case ["ps", *_]:
                return subprocess.CompletedProcess(command, 0, "\n".join(self.containers), "")
            case ["inspect", *names]:
                return subprocess.CompletedProcess(
                    command, 0, json.dumps([self.containers[name] for name in names]), ""
                )
            case ["volume", "inspect", name]:
                return subprocess.CompletedProcess(command, name not in self.volumes, "", "")
        raise AssertionError(command)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in a folder `North 1`; returns its data folder, which has run in Docker."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(compose_project, "ROOT", tmp_path / "North 1")
    data = tmp_path / "North 1/data"
    (data / "secrets/broker").mkdir(parents=True)
    (data / "secrets/broker/passwd").touch()
    return data


def test_folder_of_the_clone_gives_the_name(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project_name(clone, FakeEngine({})) == "north1"
    assert project_name(clone, FakeEngine({"wvr": clone.parent / "other"}, "wvr_broker")) == "north1"
    monkeypatch.setenv(VARIABLE, "chosen")
    assert project_name(clone, FakeEngine({"wvr": clone})) == "chosen"


def test_site_of_an_older_version_keeps_its_project_and_volume(clone: Path) -> None:
    assert project_name(clone, FakeEngine({"wvr": clone, "other": clone.parent}, "wvr_broker")) == "wvr"
    assert project_name(clone, FakeEngine({}, "wvr_broker")) == "wvr"
    assert project_name(clone, FakeEngine({}, "wvr_broker", "north1_broker")) == "north1"


def test_new_site_does_not_take_the_volume_of_a_stopped_one(clone: Path) -> None:
    (clone / "secrets/broker/passwd").unlink()
    assert project_name(clone, FakeEngine({}, "wvr_broker")) == "north1"


def test_kept_name_is_written_for_docker_compose_alone(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = clone.parent / ".env"
    keep_name("north1")
    assert not file.exists()
    file.write_text("WVR_BROKER__PORT=1884", encoding="utf-8")
    keep_name("wvr")
    assert file.read_text(encoding="utf-8") == "WVR_BROKER__PORT=1884\nCOMPOSE_PROJECT_NAME=wvr\n"
    monkeypatch.setenv(VARIABLE, "wvr")
    keep_name("wvr")
    assert file.read_text(encoding="utf-8").count("COMPOSE") == 1


def test_folder_without_latin_letters_has_the_former_name(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = clone.parent.parent / "정수장"
    folder.mkdir()
    monkeypatch.setattr(compose_project, "ROOT", folder)
    assert project_name(clone, FakeEngine({})) == "wvr"
    keep_name("wvr")
    assert (folder / ".env").read_text(encoding="utf-8") == "COMPOSE_PROJECT_NAME=wvr\n"
