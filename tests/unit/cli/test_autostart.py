"""`./wvr autostart` writes a unit that systemd takes, and says plainly where no systemd runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from pwd import getpwuid

import pytest

from cli import autostart
from cli.bootstrap import CommandError
from cli.compose import Engine

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(not ANALYZE or bool(os.geteuid()), reason="needs systemd's tools, and root")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose site runs as local processes."""
    monkeypatch.setenv("WVR_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(autostart, "supervisor_pid", lambda _: 1)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@needs_systemd
def test_systemd_takes_the_unit(data: Path) -> None:
    file = data / autostart.UNIT
    file.write_text(autostart.render_unit(data), encoding="utf-8")
    done = subprocess.run([str(ANALYZE), "verify", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    file.write_text(autostart.render_unit(data).replace("OOMPolicy=", "OOMPolice="), encoding="utf-8")
    done = subprocess.run([str(ANALYZE), "verify", file], capture_output=True, text=True, check=False)
    assert "OOMPolice" in done.stderr


def test_the_unit_runs_as_the_owner_and_names_this_sites_files(data: Path) -> None:
    lines = autostart.render_unit(data).splitlines()
    assert f"User={getpwuid(data.stat().st_uid).pw_name}" in lines
    assert any(line.startswith("ExecStart=") and line.endswith(f" {data}/run/supervisord.conf") for line in lines)


def test_a_path_that_systemd_would_misread_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "my data"
    odd.mkdir()
    with pytest.raises(CommandError, match="my data"):
        autostart.render_unit(odd)


@needs_systemd
def test_on_and_off_in_a_system_that_is_not_running(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "image"
    image.mkdir()
    assert autostart.main(["on", "--root", str(image)]) == 0
    assert autostart.is_installed(image)
    unit = image / "etc/systemd/system/wvr.service"
    assert unit.read_text(encoding="utf-8") == autostart.render_unit(data)
    assert unit.stat().st_mode & 0o777 == 0o644
    autostart.main(["--root", str(image)])
    assert "start again" in capsys.readouterr().out
    assert autostart.main(["off", "--root", str(image)]) == 0
    assert not autostart.is_installed(image)
    assert not unit.exists()
    autostart.main(["--root", str(image)])
    assert "stay down" in capsys.readouterr().out


@needs_systemd
def test_in_docker_it_is_the_engine_that_starts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "image"
    (image / autostart.FOLDER).mkdir(parents=True)
    docker = image / autostart.FOLDER / "docker.service"
    docker.write_text("[Install]\nWantedBy=multi-user.target\n", encoding="ascii")
    autostart.main(["on", "--root", str(image)])
    monkeypatch.setattr(autostart, "supervisor_pid", lambda _: None)
    monkeypatch.setattr("cli.compose.engine", lambda: Engine(True, "Docker"))
    monkeypatch.setattr("cli.compose.is_running", lambda: True)
    autostart.main(["on", "--root", str(image)])
    assert "WVR starts with Docker" in capsys.readouterr().out
    assert autostart.starts_with_docker(image)
    assert not autostart.is_installed(image), "one of the two only"
    assert not (data / "run").exists()


def test_without_systemd_an_alternative_is_shown(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autostart, "runs_systemd", lambda: False)
    with pytest.raises(CommandError, match=rf"systemd does not run here.*WVR_DATA={data} .*/wvr up --local"):
        autostart.main(["on"])


def test_a_site_that_does_not_run_is_started_first(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autostart, "supervisor_pid", lambda _: None)
    monkeypatch.setattr("cli.compose.is_running", lambda: False)
    with pytest.raises(CommandError, match=r"does not run; start it with \./wvr up"):
        autostart.main(["on", "--root", str(data)])
