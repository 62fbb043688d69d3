"""`./wvr status` never calls a service healthy that reports a problem."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cli import compose, local, status
from cli.compose_project import SERVICE_LABEL
from cli.local_config import heartbeat
from cli.service_state import ServiceState
from shared.contract.status_codes import problem
from shared.runtime.health import StatusFactory, write_heartbeat

BUSY = problem("busy", seconds=60)


def container(name: str, status: str, health: str = "", output: object = None, exit_code: int = 0) -> dict[str, Any]:
    """Return what `docker inspect` says of a container whose last health checks printed `output`."""
    checks = [{"ExitCode": 0, "Output": "{}"}, {"ExitCode": 0, "Output": f"{output}\n"}, {"ExitCode": 1, "Output": ""}]
    state = {"Status": status, "ExitCode": exit_code, "Health": {"Status": health, "Log": checks} if health else None}
    return {"Config": {"Labels": {SERVICE_LABEL: name}}, "State": state}


def printed(code: str, note: str = "") -> str:
    return json.dumps({"seconds": 3, "code": code, "note": note})


def test_states_of_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    containers = [
        container("init", "exited"),
        container("broker", "running", "healthy", "ok"),
        container("ingest", "running", "healthy", printed("waiting_for_broker", "waiting")),
        container("detector", "running", "healthy", printed("ok")),
        container("db_writer", "running", "healthy", printed("database_full", "the disk is full")),
        container("reporter", "running", "healthy", "last round trip 3 s ago"),
        container("forecaster", "running", "starting", ""),
        container("trainer", "exited", exit_code=137),
    ]

    def run(*command: str, **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, "a b" if "ps" in command else json.dumps(containers), "")

    monkeypatch.setattr(compose, "compose", run)
    monkeypatch.setattr(compose, "_ask", run)
    states = compose.states()
    assert {name: str(state) for name, state in states.items()} == {
        "init": "done",
        "broker": "healthy",
        "ingest": "healthy",
        "detector": "healthy",
        "db_writer": "degraded [database_full] the disk is full",
        "reporter": "degraded [unknown] its heartbeat has no status: an older version, or a full disk",
        "forecaster": "starting",
        "trainer": "exited, exit code 137",
    }
    assert [name for name, state in states.items() if state.is_healthy] == ["init", "broker", "ingest", "detector"]


def test_states_of_local_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = StatusFactory("site1", "db_writer", ZoneInfo("Asia/Seoul"))
    heartbeat(tmp_path, "db_writer").parent.mkdir(parents=True)
    write_heartbeat(heartbeat(tmp_path, "db_writer"), factory.status("online", problems=[BUSY]))
    write_heartbeat(heartbeat(tmp_path, "detector"), factory.status("online"))
    running = "".join(f"{name} RUNNING pid 1\n" for name in ("broker", "db_writer", "detector", "ingest"))
    lines = f"{running}trainer FATAL x\n"
    monkeypatch.setattr(local, "_supervisor", lambda *_: subprocess.CompletedProcess((), 0, lines, ""))
    assert {name: str(state) for name, state in local.states(tmp_path).items()} == {
        "broker": "healthy",
        "db_writer": f"degraded [busy] {BUSY.text.en}",
        "detector": "healthy",
        "ingest": "starting",
        "trainer": "fatal",
    }


def test_degraded_service_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"detector": ServiceState("healthy"), "db_writer": ServiceState("degraded", "database_full", "full")}
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    monkeypatch.setattr(compose, "engine", lambda: compose.Engine(True, "Docker"))
    monkeypatch.setattr(compose, "states", lambda: states)
    assert status.main([]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "detector    healthy",
        "db_writer   degraded [database_full] full",
        "what to do: ./wvr doctor",
    ]
    del states["db_writer"]
    assert status.main([]) == 0
