"""The nightly backup starts when it is due, and a backup command is answered."""

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
from shared.contract.texts import technical
from shared.store.recorder import Recorder
from tests.polling import wait_for
from tests.unit.factories import START, minute_at, reading, tick
from tests.unit.services.db_writer.test_db_writer import FakeStore, handle_batch

SEOUL = ZoneInfo("Asia/Seoul")
HALF_PAST_TWO = 3 * 60 + 30
"""Minutes after START: 02:30 on Tuesday 24."""


class FakeBackupRunner:
    """A runner that finishes or fails at once."""

    def __init__(self, *days: date, ok: bool = True) -> None:
        self.days, self.ok, self.starts = set(days), ok, 0

    def has_backup(self, day: date) -> bool:
        return day in self.days

    def start(self, at: datetime | None) -> None:  # noqa: ARG002
        self.starts += 1

    def poll(self) -> list[BackupProgress]:
        return (
            [BackupProgress(minute_at(0), 10, 10, technical("made" if self.ok else "no space"), self.ok)]
            if self.starts
            else []
        )


def db_writer(runner: FakeBackupRunner | BackgroundBackup, store: FakeStore | Recorder | None = None) -> DbWriter:
    target = store or FakeStore()
    return DbWriter(
        target,
        "site1",
        365,
        lambda seconds: START + timedelta(seconds=seconds),
        DatabaseMaintenance("site1", target, runner),
    )


def count_starts(runner: FakeBackupRunner, *ticks: Tick) -> int:
    handle_batch(db_writer(runner), *ticks)
    return runner.starts


def test_nightly_backup_starts_at_half_past_two_only() -> None:
    night = [tick(minute) for minute in range(HALF_PAST_TWO - 120, HALF_PAST_TWO + 1)]
    assert count_starts(FakeBackupRunner(), *night[:-1]) == 0
    assert count_starts(FakeBackupRunner(), *night) == 1


def test_missed_backup_is_made_later_and_an_existing_one_not_repeated() -> None:
    assert count_starts(FakeBackupRunner(date(2026, 11, 23)), tick(HALF_PAST_TWO + 59), tick(HALF_PAST_TWO + 60)) == 1
    assert count_starts(FakeBackupRunner(date(2026, 11, 24)), tick(HALF_PAST_TWO + 60)) == 0


def test_backup_dated_ahead_by_a_wrong_clock_triggers_no_others() -> None:
    assert count_starts(FakeBackupRunner(date(2026, 11, 24), date(2061, 1, 1)), tick(HALF_PAST_TWO + 60)) == 0


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 1)])
def test_one_backup_per_night_at_dst_changes(day: date) -> None:
    """Berlin: no 02:30 on the first day, two on the second."""
    zone = ZoneInfo("Europe/Berlin")
    midnight = int(datetime.combine(day, time(), zone).timestamp())
    runner = FakeBackupRunner()
    service = db_writer(runner)
    starts = list[datetime]()
    for second in range(midnight, midnight + 20 * 3600, 60):
        local = datetime.fromtimestamp(second, zone)
        handle_batch(service, replace(tick(0), at=datetime.fromisoformat(local.isoformat())))
        if runner.starts > len(starts):
            starts.append(local)
            runner.days.add(local.date())
    assert [start.strftime("%H:%M") for start in starts] == ["03:30" if day == date(2026, 3, 29) else "02:30"]


def test_backup_named_by_a_wrong_clock_is_not_repeated_hourly_but_a_failed_one_is() -> None:
    later = [tick(HALF_PAST_TWO + 60 * hour) for hour in range(4)]
    assert count_starts(FakeBackupRunner(date(2027, 11, 24)), *later) == 1
    runner = FakeBackupRunner(ok=False)
    service = db_writer(runner)
    for item in later:
        handle_batch(service, item)
    assert runner.starts == 4


def test_backup_command_is_answered_when_it_is_done() -> None:
    for ok in (True, False):
        messages = handle_batch(db_writer(FakeBackupRunner(ok=ok)), Command("site1", "backup", "t1"))
        assert [type(message) for message in messages] == [Progress, Response]
        assert messages[-1] == Response(
            site="site1", name="backup", transaction="t1", ok=ok, text=technical("made" if ok else "no space")
        )


def test_real_backup_is_made_while_readings_are_stored(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    service = db_writer(BackgroundBackup(tmp_path / "wvr.db", tmp_path / "backup", lambda: minute_at(0)), recorder)
    handle_batch(service, *(reading(minute) for minute in range(100)), Command("site1", "backup", "t1"))
    messages: list[Message] = []

    def answered() -> bool:
        messages.extend(handle_batch(service, reading(100 + len(messages))))
        return any(isinstance(message, Response) and message.ok for message in messages)

    wait_for(answered, what="the backup is made")
    recorder.close()
    assert len(list((tmp_path / "backup").glob("wvr-2026*.db"))) == 1


def test_nightly_backup_is_named_by_its_tick(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    backup = BackgroundBackup(tmp_path / "wvr.db", tmp_path / "backup", lambda: minute_at(365 * 1440))
    service = db_writer(backup, recorder)
    handle_batch(service, reading(0), tick(HALF_PAST_TWO))
    wait_for(lambda: backup.has_backup(minute_at(HALF_PAST_TWO).date()), what="the backup is made")
    recorder.close()
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["wvr-20261124T023000.db"]


def test_failed_backup_is_reported(tmp_path: Path) -> None:
    backup = BackgroundBackup(tmp_path / "wvr.db", tmp_path / "backup", lambda: minute_at(0))
    backup.start(None)
    news = wait_for(backup.poll, what="news")
    assert [item.ok for item in news] == [False]
    assert backup.failure
    assert backup.failure.code == "backup_failed"
