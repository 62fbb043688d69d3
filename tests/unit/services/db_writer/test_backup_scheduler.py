"""The nightly backup begins when it is due, and who asks for one is answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.db_writer.background import BackgroundBackup
from services.db_writer.backup_scheduler import BackupProgress
from services.db_writer.maintenance import DatabaseMaintenance
from services.db_writer.service import DbWriter
from shared.contract.messages import Command, Message, Progress, Response, Tick
from shared.store.recorder import Recorder
from tests.polling import wait_for
from tests.unit.factories import START, minute_at, reading, tick
from tests.unit.services.db_writer.test_db_writer import FakeStore, handle_batch

SEOUL = ZoneInfo("Asia/Seoul")
HALF_PAST_TWO = 3 * 60 + 30
"""Minutes after START: 02:30 on Tuesday 24."""


class FakeBackupRunner:
    """A copier that is done at once, or fails."""

    def __init__(self, *days: date, ok: bool = True) -> None:
        self.days, self.ok, self.starts = set(days), ok, 0

    def has_backup(self, day: date) -> bool:
        return day in self.days

    def start(self, at: datetime | None) -> None:  # noqa: ARG002
        self.starts += 1

    def poll(self) -> list[BackupProgress]:
        return [BackupProgress(minute_at(0), 10, 10, "made" if self.ok else "no space", self.ok)] if self.starts else []


def db_writer(scribe: FakeBackupRunner | BackgroundBackup, store: FakeStore | Recorder | None = None) -> DbWriter:
    kept = store or FakeStore()
    return DbWriter(
        kept,
        "site1",
        365,
        lambda seconds: START + timedelta(seconds=seconds),
        DatabaseMaintenance("site1", kept, scribe),
    )


def begun(scribe: FakeBackupRunner, *ticks: Tick) -> int:
    handle_batch(db_writer(scribe), *ticks)
    return scribe.starts


def test_each_night_at_half_past_two_and_only_then() -> None:
    night = [tick(minute) for minute in range(HALF_PAST_TWO - 120, HALF_PAST_TWO + 1)]
    assert begun(FakeBackupRunner(), *night[:-1]) == 0
    assert begun(FakeBackupRunner(), *night) == 1


def test_a_missed_night_is_made_up_for_and_a_made_one_not_repeated() -> None:
    assert begun(FakeBackupRunner(date(2026, 11, 23)), tick(HALF_PAST_TWO + 59), tick(HALF_PAST_TWO + 60)) == 1
    assert begun(FakeBackupRunner(date(2026, 11, 24)), tick(HALF_PAST_TWO + 60)) == 0


def test_a_backup_that_a_wrong_clock_dated_ahead_begins_no_others() -> None:
    assert begun(FakeBackupRunner(date(2026, 11, 24), date(2061, 1, 1)), tick(HALF_PAST_TWO + 60)) == 0


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 1)])
def test_once_a_night_also_when_the_clocks_change(day: date) -> None:
    """Berlin: no 02:30 on the first day, two on the second."""
    zone = ZoneInfo("Europe/Berlin")
    midnight = int(datetime.combine(day, time(), zone).timestamp())
    scribe = FakeBackupRunner()
    service = db_writer(scribe)
    begins = list[datetime]()
    for second in range(midnight, midnight + 20 * 3600, 60):
        local = datetime.fromtimestamp(second, zone)
        handle_batch(service, replace(tick(0), at=datetime.fromisoformat(local.isoformat())))
        if scribe.starts > len(begins):
            begins.append(local)
            scribe.days.add(local.date())
    assert [begun.strftime("%H:%M") for begun in begins] == ["03:30" if day == date(2026, 3, 29) else "02:30"]


def test_one_that_a_wrong_clock_named_makes_no_backup_each_hour_but_a_failed_one_is_tried_again() -> None:
    later = [tick(HALF_PAST_TWO + 60 * hour) for hour in range(4)]
    assert begun(FakeBackupRunner(date(2027, 11, 24)), *later) == 1
    scribe = FakeBackupRunner(ok=False)
    service = db_writer(scribe)
    for one in later:
        handle_batch(service, one)
    assert scribe.starts == 4


def test_who_asks_is_answered_when_it_is_done() -> None:
    for ok in (True, False):
        found = handle_batch(db_writer(FakeBackupRunner(ok=ok)), Command("site1", "backup", "t1"))
        assert [type(message) for message in found] == [Progress, Response]
        assert found[-1] == Response("site1", "backup", "t1", ok, "made" if ok else "no space")


def test_a_real_copy_is_made_while_readings_are_stored(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    service = db_writer(BackgroundBackup(tmp_path / "wvr.db", tmp_path / "backup", lambda: minute_at(0)), recorder)
    handle_batch(service, *(reading(minute) for minute in range(100)), Command("site1", "backup", "t1"))
    heard: list[Message] = []

    def answered() -> bool:
        heard.extend(handle_batch(service, reading(100 + len(heard))))
        return any(isinstance(message, Response) and message.ok for message in heard)

    wait_for(answered, what="the backup is made")
    recorder.close()
    assert len(list((tmp_path / "backup").glob("wvr-2026*.db"))) == 1


def test_a_nightly_copy_is_named_by_its_tick_and_not_by_the_machines_clock(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    copying = BackgroundBackup(tmp_path / "wvr.db", tmp_path / "backup", lambda: minute_at(365 * 1440))
    service = db_writer(copying, recorder)
    handle_batch(service, reading(0), tick(HALF_PAST_TWO))
    wait_for(lambda: copying.has_backup(minute_at(HALF_PAST_TWO).date()), what="the backup is made")
    recorder.close()
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["wvr-20261124T023000.db"]


def test_a_copy_that_fails_is_told(tmp_path: Path) -> None:
    copying = BackgroundBackup(tmp_path / "wvr.db", tmp_path / "backup", lambda: minute_at(0))
    copying.start(None)
    news = wait_for(copying.poll, what="news")
    assert [one.ok for one in news] == [False]
    assert "no backup was made" in copying.failure
