"""A damaged file, a full disk and a foreign lock lose nothing that was stored or waits."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from peewee import SqliteDatabase
from playhouse.migrations import Runner

from shared.contract.service import Unavailable
from shared.store import backups
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.schema import MIGRATIONS
from tests.small_disk import mount_small_disk
from tests.unit.factories import START, reading, verdict

SEOUL = ZoneInfo("Asia/Seoul")
T0 = int(START.timestamp())


def open_recorder(folder: Path) -> Recorder:
    return Recorder(folder / "wvr.db", SEOUL, (0, 24))


def stored(folder: Path) -> int:
    """Return the number of readings that a service would find."""
    return len(History(folder / "wvr.db", SEOUL, "site1").readings("001", 0, T0 + 10**9))


def back_up(folder: Path, day: int = 1) -> Path:
    at = datetime(2026, 1, day, tzinfo=UTC)
    return backups.create_backup(folder / "wvr.db", folder / "backup", at, lambda *_: None)


def spoil(path: Path, offset: int = 4096) -> None:
    """Overwrite all pages except the first."""
    content = bytearray(path.read_bytes())
    content[offset:] = b"\xa5" * (len(content) - offset)
    path.write_bytes(content)


def lose_power_while_writing(folder: Path) -> None:
    """Leave database and -wal as they are during a write."""
    recorder = open_recorder(folder)
    recorder.write([reading(300)])
    left = {path: path.read_bytes() for path in (folder / "wvr.db", folder / "wvr.db-wal")}
    recorder.close()
    for path, content in left.items():
        path.write_bytes(content)


def filled(folder: Path) -> None:
    recorder = open_recorder(folder)
    recorder.write([reading(minute) for minute in range(300)])
    recorder.close()


@pytest.mark.parametrize("offset", [0, 4096])
def test_damaged_database_is_kept_aside_and_the_newest_valid_backup_restored(tmp_path: Path, offset: int) -> None:
    filled(tmp_path)
    backup = back_up(tmp_path, 1)
    spoil(back_up(tmp_path, 2))
    lose_power_while_writing(tmp_path)
    spoil(tmp_path / "wvr.db", offset)
    recorder = open_recorder(tmp_path)
    assert recorder.repair_problem
    assert f"the backup {backup.name} was restored" in recorder.repair_problem.text.en
    assert recorder.repair_problem
    assert "wvr.db was damaged" in recorder.repair_problem.text.en
    assert stored(tmp_path) == 300
    assert [path for path in tmp_path.glob("wvr.db.corrupt-*-wal") if path.stat().st_size]
    recorder.write([reading(300)])
    recorder.close()


def test_database_without_a_backup_is_created_anew(tmp_path: Path) -> None:
    filled(tmp_path)
    spoil(tmp_path / "wvr.db")
    recorder = open_recorder(tmp_path)
    assert recorder.repair_problem
    assert "no valid backup was found" in recorder.repair_problem.text.en
    recorder.write([reading(0)])
    recorder.close()
    assert stored(tmp_path) == 1


def test_emptied_file_is_replaced(tmp_path: Path) -> None:
    filled(tmp_path)
    back_up(tmp_path)
    (tmp_path / "wvr.db").write_bytes(b"")
    open_recorder(tmp_path).close()
    assert stored(tmp_path) == 300


def test_valid_database_has_no_repair_text(tmp_path: Path) -> None:
    filled(tmp_path)
    recorder = open_recorder(tmp_path)
    assert recorder.repair_problem is None
    recorder.close()


def test_interrupted_restore_is_finished_at_the_next_start(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "wvr.db").replace(tmp_path / "wvr.db.restored")
    (tmp_path / "wvr.db-wal").write_bytes(b"of the old one")
    open_recorder(tmp_path).close()
    assert stored(tmp_path) == 300


def test_database_damaged_while_running_is_repaired_and_readers_follow(tmp_path: Path) -> None:
    filled(tmp_path)
    back_up(tmp_path)
    recorder = open_recorder(tmp_path)
    history = History(tmp_path / "wvr.db", SEOUL, "site1")
    assert history.last_verdict("001") is None
    spoil(tmp_path / "wvr.db")
    with pytest.raises(SystemExit, match="was restored"):
        write_until_it_ends(recorder)
    recorder.close()
    recorder = open_recorder(tmp_path)
    recorder.write([reading(minute) for minute in range(290, 310)] + [verdict(0)])
    assert recorder.repair_problem
    assert "was restored" in recorder.repair_problem.text.en
    assert len(history.readings("001", 0, T0 + 10**9)) == 310
    assert history.last_verdict("001") == T0
    recorder.close()


def write_until_it_ends(recorder: Recorder) -> None:
    for _ in range(3):
        with suppress(Unavailable):
            recorder.write([reading(minute) for minute in range(290, 310)])


def test_reader_of_a_damaged_database_waits_for_its_repair(tmp_path: Path) -> None:
    filled(tmp_path)
    back_up(tmp_path)
    history = History(tmp_path / "wvr.db", SEOUL, "site1")
    for offset in (4096, 0):
        spoil(tmp_path / "wvr.db", offset)
        with pytest.raises(Unavailable, match="db_writer repairs it"):
            history.readings("001", 0, T0)
    open_recorder(tmp_path).close()
    assert len(history.readings("001", 0, T0 + 10**9)) == 300


def test_full_database_keeps_its_rows_and_continues_when_there_is_space(tmp_path: Path) -> None:
    recorder = open_recorder(tmp_path)
    recorder.write([reading(0)])
    pages = recorder._database.execute_sql("PRAGMA page_count").fetchone()[0]
    recorder._database.execute_sql(f"PRAGMA max_page_count = {pages + 2}").fetchone()
    much = [reading(minute) for minute in range(5000)]
    for _ in range(3):
        with pytest.raises(Unavailable, match="the disk is full"):
            recorder.write(much)
    assert stored(tmp_path) == 1
    recorder._database.execute_sql("PRAGMA max_page_count = 1000000").fetchone()
    recorder.write(much)
    assert stored(tmp_path) == 5000
    recorder.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    with mount_small_disk(tmp_path / "small", "size=2m") as folder:
        yield folder


def test_full_disk_stops_writing_until_there_is_space(small_disk: Path) -> None:
    recorder = open_recorder(small_disk)
    recorder.write([reading(0)])
    waste = small_disk / "waste"
    with pytest.raises(OSError, match="space"):
        waste.write_bytes(b"x" * 4_000_000)
    much = [reading(minute) for minute in range(2000)]
    for _ in range(3):
        with pytest.raises(Unavailable, match="the disk is full"):
            recorder.write(much)
    assert stored(small_disk) == 1
    with pytest.raises(backups.BackupError):
        back_up(small_disk)
    waste.unlink()
    recorder.write(much)
    recorder.close()
    assert stored(small_disk) == 2000
    assert not list((small_disk / "backup").glob("*"))


def test_holder_of_the_lock_is_named(tmp_path: Path) -> None:
    filled(tmp_path)
    recorder = open_recorder(tmp_path)
    hold = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); print(1, flush=True); sys.stdin.read()"
    )
    command = ["python3", "-c", hold, str(tmp_path / "wvr.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other_process:
        assert other_process.stdout
        assert other_process.stdout.readline() == b"1\n"
        for _ in range(2):
            with pytest.raises(Unavailable, match=rf"locked by another program: .* \(process {other_process.pid}\)"):
                recorder.write([reading(300)])
        other_process.communicate()
    recorder.write([reading(300)])
    recorder.close()
    assert stored(tmp_path) == 301


def test_database_locked_at_the_start_is_opened_later(tmp_path: Path) -> None:
    filled(tmp_path)
    foreign = sqlite3.connect(tmp_path / "wvr.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    recorder = open_recorder(tmp_path)
    assert recorder.repair_problem is None
    foreign.close()
    recorder.write([reading(300)])
    recorder.close()
    assert stored(tmp_path) == 301


def test_older_database_is_read_after_its_migration(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / "wvr.db")) as older, older:
        older.execute("DELETE FROM schema_migration WHERE name = '0003_scores'")
        older.execute("DROP VIEW SCORE_VIEW")
        older.execute("DROP TABLE SCORE_TB")
    with pytest.raises(Unavailable, match="by an older WVR"):
        stored(tmp_path)
    recorder = open_recorder(tmp_path)
    assert stored(tmp_path) == 300
    recorder.close()


def test_database_that_is_being_created_is_not_taken_for_an_older_one(tmp_path: Path) -> None:
    """At a first start, readers may open the database between two of its migrations."""
    database = SqliteDatabase(str(tmp_path / "wvr.db"))
    runner = Runner(database, str(MIGRATIONS))
    for migration in runner.migrations():
        runner.up(migration.name)
        assert stored(tmp_path) == 0
    database.close()


def test_newer_database_is_left_alone_and_named(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / "wvr.db")) as newer, newer:
        newer.execute("INSERT INTO schema_migration (name, applied) VALUES ('0002_pipes', '2027-01-01')")
    before = (tmp_path / "wvr.db").read_bytes()
    named = "by a newer WVR (migrations 0002_pipes)"
    with pytest.raises(Unavailable, match=re.escape(named)):
        open_recorder(tmp_path)
    with pytest.raises(Unavailable, match=re.escape(named)):
        stored(tmp_path)
    assert named in backups.integrity_error(tmp_path / "wvr.db")
    assert (tmp_path / "wvr.db").read_bytes() == before
