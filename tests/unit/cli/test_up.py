"""`./wvr up` on a site that runs already: it applies changes, and never takes over another clone's site."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import compose, local, up
from cli.bootstrap import CommandError
from cli.compose_project import PROJECT_LABEL
from cli.init_site import record_applied
from cli.local_site import require_own_supervisor
from shared.settings import Settings
from tests.conftest import free_port

Calls = list[str]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A site that seems to run as local processes; the list of what `up` does with it."""
    (tmp_path / "run").mkdir()
    port = free_port()
    (tmp_path / "run/mosquitto.conf").write_text(f"listener {port} 127.0.0.1\n", encoding="ascii")
    (tmp_path / "site.toml").write_text("", encoding="ascii")
    calls: Calls = []

    def start(settings: Settings, _: str) -> None:
        calls.append(f"up {settings.site.name}")
        record_applied(settings.data)

    for name, value in {"DATA": tmp_path, "SITE_FILE": tmp_path / "site.toml", "BROKER__PORT": port}.items():
        monkeypatch.setenv(f"WVR_{name}", str(value))
    (tmp_path / "run/supervisord.conf").write_text("[program:dashboard]\n", encoding="ascii")
    monkeypatch.setattr(up, "reexec_in_venv", lambda _: None)
    monkeypatch.setattr("cli.assets.ensure", lambda: None)
    monkeypatch.setattr(up, "supervisor_pid", lambda _: 1)
    monkeypatch.setattr(local, "down", lambda _: calls.append("down"))
    monkeypatch.setattr(local, "up", start)
    record_applied(tmp_path)
    return calls


def test_unchanged_site_keeps_running(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert up.main([]) == 0
    assert "already runs as local processes, with this site.toml" in capsys.readouterr().out
    assert calls == []


def test_changed_site_file_is_applied_once(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.toml").write_text("[site]\nname = 'north'\n", encoding="ascii")
    assert up.main([]) == 0
    assert "changed since the last start: site.toml; WVR restarts" in capsys.readouterr().out
    assert calls == ["down", "up north"]
    assert up.main([]) == 0
    assert calls == ["down", "up north"]


def test_invalid_site_file_stops_nothing(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[site]\nname = 3\n", encoding="ascii")
    with pytest.raises(CommandError, match=r"site\.toml:2: site\.name"):
        up.main([])
    assert calls == []


@pytest.fixture
def containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A running container of a Compose project; returns its data folder."""
    mounts = [{"Destination": "/app/site.toml", "Source": "/x"}, {"Destination": "/data", "Source": f"{tmp_path}/data"}]
    described = [{"Mounts": mounts, "Config": {"Labels": {PROJECT_LABEL: "wvr"}}}]

    def run(*command: str, **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, "a" if "ps" in command else json.dumps(described), "")

    monkeypatch.setattr(compose, "compose", run)
    monkeypatch.setattr(compose, "_ask", run)
    return tmp_path / "data"


def test_second_clone_does_not_take_over_running_containers(containers: Path, tmp_path: Path) -> None:
    compose.require_own_site(containers)
    (tmp_path / "link").symlink_to(containers)
    compose.require_own_site(tmp_path / "link")
    with pytest.raises(CommandError, match=f"another site runs as Compose project wvr, in {containers}; .*PORT=1884"):
        compose.require_own_site(tmp_path / "other/data")


@pytest.fixture
def foreign_supervisor(tmp_path: Path) -> Iterator[Path]:
    """The supervisord of another clone, with a data folder; returns the clone."""
    (tmp_path / "run").mkdir()
    program = tmp_path / "clone/.venv/bin/supervisord"
    program.parent.mkdir(parents=True)
    program.write_text("import time; print('started', flush=True); time.sleep(60)", encoding="ascii")
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # before this, it may still have the command line of this process
        (tmp_path / "run/supervisord.pid").write_text(str(process.pid), encoding="ascii")
        yield tmp_path / "clone"
        process.kill()


def test_second_clone_does_not_take_over_local_processes(foreign_supervisor: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"runs from another clone, {foreign_supervisor}; stop it there"):
        require_own_supervisor(tmp_path)
    (tmp_path / "run/supervisord.pid").write_text(str(os.getpid()), encoding="ascii")
    require_own_supervisor(tmp_path)
