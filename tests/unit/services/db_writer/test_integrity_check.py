"""Corruption of a running database is found before a write meets it, and repaired."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.db_writer.background import BackgroundIntegrityCheck
from services.db_writer.maintenance import DatabaseMaintenance
from services.db_writer.service import DbWriter
from shared.contract.messages import Message, Status, StatusCode
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.store import backups
from shared.store.recorder import Recorder
from tests.polling import wait_for
from tests.unit.factories import START, minute_at, reading, tick
from tests.unit.services.db_writer.test_db_writer import FakeStore, handle_batch

SEOUL = ZoneInfo("Asia/Seoul")


class FakeIntegrityCheck:
    """A check that returns a given result at once."""

    def __init__(self, corruption: str = "") -> None:
        self.starts, self.corruption = 0, corruption

    def start(self) -> None:
        self.starts += 1

    def poll(self) -> str:
        corruption, self.corruption = (self.corruption, "") if self.starts else ("", self.corruption)
        return corruption


def status(code: StatusCode) -> Status:
    return Status(
        site="site1",
        name="detector",
        state="online",
        version="1",
        since=minute_at(0),
        at=minute_at(0),
        memory_mb=1.0,
        lag=0,
        code=code,
        note=technical(""),
    )


def db_writer(look: FakeIntegrityCheck | BackgroundIntegrityCheck, store: FakeStore | Recorder) -> DbWriter:
    care = DatabaseMaintenance("site1", store, integrity_check=look)
    return DbWriter(store, "site1", 365, lambda seconds: START + timedelta(seconds=seconds), care)


def count_checks(*messages: Message) -> int:
    check = FakeIntegrityCheck()
    handle_batch(db_writer(check, FakeStore()), *messages)
    return check.starts


def test_check_runs_each_hour_and_when_a_reader_reports_corruption() -> None:
    assert count_checks(*map(tick, range(120))) == 2
    assert count_checks(status("ok"), status("database_full")) == 0
    assert count_checks(status("database_corrupt")) == 1


def test_database_is_repaired_before_anything_more_is_stored() -> None:
    store = FakeStore()
    handle_batch(db_writer(FakeIntegrityCheck("page 7 is torn"), store), status("database_corrupt"))
    assert store.repairs == 1
    store = FakeStore()
    handle_batch(db_writer(FakeIntegrityCheck(), store), status("database_corrupt"))
    assert store.repairs == 0


def test_failed_repair_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore()

    def no_space() -> None:
        raise Unavailable(problem("database_not_replaceable", corruption="page 7", reason="no space"))

    with monkeypatch.context() as patched:
        patched.setattr(store, "repair", no_space)
        service = db_writer(FakeIntegrityCheck("page 7 is torn"), store)
        for _ in range(2):
            with pytest.raises(Unavailable):
                handle_batch(service, status("database_corrupt"), reading(0))
    assert not store.stored


def test_corrupt_page_is_found_and_the_backup_restored(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    recorder.write([reading(minute) for minute in range(5000)])
    backups.create_backup(tmp_path / "wvr.db", tmp_path / "backup", START, lambda *_: None)
    recorder.close()
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    content = bytearray((tmp_path / "wvr.db").read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    with (tmp_path / "wvr.db").open("r+b") as file:
        file.seek(middle)
        file.write(b"\xa5" * 8192)
    looking = BackgroundIntegrityCheck(tmp_path / "wvr.db", tmp_path / "backup")
    service = db_writer(looking, recorder)
    handle_batch(service, reading(5000))
    with pytest.raises(SystemExit, match="was restored"):
        wait_for(lambda: handle_batch(service, status("database_corrupt")), 10, "the damage is found")
    recorder.close()
