"""`./wvr backup` and `./wvr restore` with nothing running, and that restore refuses while something runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli import backup, restore
from shared.store.history import History
from shared.store.recorder import Recorder
from tests.unit.makers import START, reading

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


def test_a_backup_brings_back_what_was_there(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_restore_refuses_while_the_site_runs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup.main([]) == 0
    (made,) = (data / "backup").glob("wvr-*.db")
    recorder = Recorder(data / "wvr.db", SEOUL, (0,))
    assert restore.main([str(made)]) == 1
    recorder.close()
    assert "./wvr down first" in capsys.readouterr().err


def test_restore_takes_nothing_that_is_not_sound(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torn = data / "torn.db"
    torn.write_bytes((data / "wvr.db").read_bytes()[:5000])
    (data / "text.db").write_text("no database", encoding="ascii")
    for name in (str(torn), str(data / "text.db"), "nowhere.db"):
        assert restore.main([name]) == 1
    assert capsys.readouterr().err.count("wvr restore:") == 3
    assert stored(data) == 10


def test_restore_takes_nothing_of_a_newer_version(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup.main([]) == 0
    (made,) = (data / "backup").glob("wvr-*.db")
    with closing(sqlite3.connect(made)) as newer, newer:
        newer.execute("INSERT INTO schema_migration (name, applied) VALUES ('0099_tomorrow', '2030-01-01')")
    assert restore.main([made.name]) == 1
    assert "made by a newer WVR than this one (it has 0099_tomorrow)" in capsys.readouterr().err
    assert stored(data) == 10
