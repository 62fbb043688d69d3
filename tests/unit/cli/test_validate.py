"""`./wvr validate` and `status` install nothing on a machine with Docker alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli import compose, status, validate
from cli.bootstrap import ROOT
from cli.service_state import ServiceState


@pytest.fixture
def site_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "site.toml"
    file.write_text("[site]\nname = 'north'\n", encoding="ascii")
    monkeypatch.setenv("WVR_SITE_FILE", str(file))
    monkeypatch.setenv("WVR_DATA", str(tmp_path / "data"))
    return file


def test_docker_validates_in_the_image(site_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    def run(*command: str, **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0 if "build" in command else 1, "", "")

    monkeypatch.setenv("WVR_SITE__NAME", "south")
    monkeypatch.setattr(validate, "is_installed", lambda _: False)
    monkeypatch.setattr(validate, "reexec_in_venv", lambda _: pytest.fail("it installs packages"))
    monkeypatch.setattr(compose, "engine", lambda: compose.Engine(True, "Docker"))
    monkeypatch.setattr(compose, "compose", run)
    monkeypatch.setattr(subprocess, "run", lambda command, check: run(*command, check=check))
    assert validate.main([]) == 1
    build, container = commands
    assert build == ("build", "--quiet", "init")
    assert container[-4:] == ("python", "-m", "cli.validate", str(site_file))
    assert "WVR_SITE__NAME" in container
    assert "WVR_DATA" not in container
    assert f"type=bind,source={site_file},target={site_file},readonly" in container


@pytest.mark.parametrize("command", ["validate", "status", "up", "down", "logs"])
def test_commands_of_a_machine_with_docker_alone_need_no_packages(command: str) -> None:
    """Without `site`, Python finds the standard library only, so that an import of a package fails."""
    script = f"import cli.__main__, cli.{command}"
    run = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_status_of_containers_installs_nothing(
    site_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site_file.exists()
    monkeypatch.setattr(status, "reexec_in_venv", lambda _: pytest.fail("it installs packages"))
    monkeypatch.setattr(compose, "engine", lambda: compose.Engine(True, "Docker"))
    monkeypatch.setattr(compose, "states", lambda: {"broker": ServiceState("healthy")})
    assert status.main([]) == 0
    assert capsys.readouterr().out == "broker      healthy\n"


def test_packages_are_used_where_they_are_installed(
    site_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(validate, "reexec_in_venv", lambda _: None)
    monkeypatch.setattr(compose, "engine", lambda: compose.Engine(False, "Docker is not installed"))
    assert validate.main([str(site_file)]) == 0
    assert "valid: site north" in capsys.readouterr().out
    site_file.write_text("[site]\nname = 3\n", encoding="ascii")
    assert validate.main([]) == 1
    assert f"{site_file}:2: site.name" in capsys.readouterr().err
    assert validate.main(["/nowhere/site.toml"]) == 1
    assert capsys.readouterr().err == "/nowhere/site.toml: file not found\n"
