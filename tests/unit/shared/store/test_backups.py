"""Backups are complete, made while the database is written, and kept for 7 days, 5 weeks and 12 months."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from shared.store import backups
from shared.store.backups import BackupError, create_backup, list_backups, rotate, select_retained
from shared.store.history import History
from shared.store.recorder import Recorder
from tests.unit.factories import START, reading

SEOUL = ZoneInfo("Asia/Seoul")
T0 = int(START.timestamp())
NIGHT = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)


def test_rotation_keeps_days_weeks_and_months() -> None:
    nights = [datetime(2024, 1, 1, 2, 30) + timedelta(days=day) for day in range(3 * 365)]  # noqa: DTZ001
    have: set[datetime] = set()
    for night in nights:
        have = select_retained({*have, night})
        assert len(have) <= 7 + 5 + 12
    assert sorted(have)[-7:] == nights[-7:]
    assert len({at.strftime("%G-%V") for at in have if at > nights[-1] - timedelta(days=35)}) >= 5
    assert len({at.strftime("%Y%m") for at in have}) == 12


def test_backup_from_a_wrong_clock_displaces_at_most_one() -> None:
    nights = {datetime(2026, 1, day, 2, 30) for day in range(1, 8)}  # noqa: DTZ001
    ahead = datetime(2061, 1, 1, 2, 30)  # noqa: DTZ001
    assert len(select_retained(nights | {ahead}) & nights) >= 6


def test_files_that_are_no_backups_stay(tmp_path: Path) -> None:
    for name in ("wvr-before.db", "notes.txt"):
        (tmp_path / name).touch()
    rotate(tmp_path)
    assert list_backups(tmp_path) == {}
    assert len(list(tmp_path.iterdir())) == 2


def test_backup_made_during_writes_is_of_one_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "PAGES_PER_STEP", 2)
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    recorder.write([reading(minute) for minute in range(3000)])
    steps: list[tuple[int, int]] = []
    failed: list[BaseException] = []

    def copy() -> None:
        try:
            create_backup(tmp_path / "wvr.db", tmp_path / "backup", NIGHT, lambda *step: steps.append(step))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    minute = 3000
    while thread.is_alive():
        recorder.write([reading(minute)])
        minute += 1
    thread.join()
    recorder.close()
    assert not failed
    assert len(steps) > 10
    (made,) = list_backups(tmp_path / "backup").values()
    readings = History(made, SEOUL, "site1").readings("001", 0, T0 + 10**9)
    assert 3000 <= len(readings) < minute
    assert [path.name for path in (tmp_path / "backup").glob("*.part*")] == []


def test_corrupt_copy_is_discarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(tmp_path / "wvr.db", SEOUL, (0,)).close()
    monkeypatch.setattr(backups, "integrity_error", lambda _: "page 7 is torn")
    with pytest.raises(BackupError, match="page 7 is torn"):
        create_backup(tmp_path / "wvr.db", tmp_path / "backup", NIGHT, lambda *_: None)
    assert not list_backups(tmp_path / "backup")


def test_leftover_of_an_interrupted_backup_is_deleted_by_the_next(tmp_path: Path) -> None:
    Recorder(tmp_path / "wvr.db", SEOUL, (0,)).close()
    (tmp_path / "backup").mkdir()
    for name in (".wvr-20251231T023000.db.part", ".wvr-20251231T023000.db.part-journal"):
        (tmp_path / "backup" / name).write_bytes(b"half")
    made = create_backup(tmp_path / "wvr.db", tmp_path / "backup", NIGHT, lambda *_: None)
    assert list((tmp_path / "backup").iterdir()) == [made]
