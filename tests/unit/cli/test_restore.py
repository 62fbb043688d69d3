"""`./wvr backup` and `./wvr restore`; with a whole site running: tests/e2e/test_local_store.py."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli import backup, compose, restore
from shared.store.history import History
from shared.store.recorder import Recorder
from tests.unit.factories import START, reading

SEOUL = ZoneInfo("Asia/Seoul")
T0 = int(START.timestamp())


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stopped site with ten readings."""
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    store(tmp_path, 0, 10)
    return tmp_path


def store(data: Path, first: int, stop: int) -> None:
    recorder = Recorder(data / "wvr.db", SEOUL, (0,))
    recorder.write([reading(minute) for minute in range(first, stop)])
    recorder.close()


def stored(data: Path) -> int:
    return len(History(data / "wvr.db", SEOUL, "site1").readings("001", 0, T0 + 10**9))


def test_restore_brings_back_the_stored_readings(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup.main([]) == 0
    store(data, 10, 20)
    (made,) = (data / "backup").glob("wvr-*.db")
    assert made.name in capsys.readouterr().out
    assert restore.main([]) == 0
    assert made.name in capsys.readouterr().out
    assert restore.main([made.name]) == 0
    assert stored(data) == 10
    assert len(list(data.glob("wvr.db.before-restore-*"))) == 1
    store(data, 10, 12)
    assert stored(data) == 12


def test_restore_refuses_while_another_program_writes(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "is_running", lambda: False)
    assert backup.main([]) == 0
    (made,) = (data / "backup").glob("wvr-*.db")
    recorder = Recorder(data / "wvr.db", SEOUL, (0,))
    assert restore.main([str(made)]) == 1
    recorder.close()
    assert f"process {os.getpid()} already writes this database" in capsys.readouterr().err


def test_restore_in_docker_stops_the_services_with_database_state(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backup.main([]) == 0
    (made,) = (data / "backup").glob("wvr-*.db")
    recorders = [Recorder(data / "wvr.db", SEOUL, (0,))]
    calls: list[tuple[str, ...]] = []

    def docker(*arguments: str, **_: bool) -> subprocess.CompletedProcess[str]:
        calls.append(arguments)
        if arguments[0] == "stop":
            recorders.pop().close()
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(compose, "engine", lambda: compose.Engine(True, "Docker"))
    monkeypatch.setattr(compose, "is_running", lambda: True)
    monkeypatch.setattr(compose, "compose", docker)
    assert restore.main([made.name]) == 0
    stopped, writer, readers = calls
    assert stopped == ("stop", "forecaster", "detector", "reporter", "db_writer")
    assert writer[0] == "up"
    assert writer[-1:] == ("db_writer",)
    assert readers[-3:] == ("forecaster", "detector", "reporter")
    assert len(list(data.glob("wvr.db.before-restore-*"))) == 1


def test_restore_refuses_an_invalid_backup(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torn = data / "torn.db"
    torn.write_bytes((data / "wvr.db").read_bytes()[:5000])
    (data / "text.db").write_text("no database", encoding="ascii")
    for name in (str(torn), str(data / "text.db"), "nowhere.db"):
        assert restore.main([name]) == 1
    assert capsys.readouterr().err.count("wvr restore:") == 3
    assert stored(data) == 10
