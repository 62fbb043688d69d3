"""wvr.db while a complete site runs: a restore, another program's lock, damaged pages."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.store import backups
from tests.e2e import site_assertions
from tests.e2e.fed_site import FedSite, local_fed_site, minute, notes
from tests.e2e.running_site import RunningSite, listening
from tests.polling import wait_for

LOCK_SCRIPT = """import sqlite3, sys
editor = sqlite3.connect(sys.argv[1], isolation_level=None)
editor.execute("BEGIN IMMEDIATE")
editor.execute("DELETE FROM REAL_VAL_TB")
print("holds", flush=True)
sys.stdin.read()
"""
"""A program with an uncommitted change, which is rolled back when it ends."""


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FedSite]:
    """A local site that follows a file, with ten hours stored."""
    with local_fed_site(tmp_path_factory.mktemp("fed"), 600) as fed:
        yield fed


def test_running_site_is_restored_without_loss(fed: FedSite, tmp_path: Path) -> None:
    """Takes a minute: four services stop and start, and the backfill waits for a tick."""
    backup = tmp_path / "older.db"
    backup.write_bytes(make_backup(fed.site).read_bytes())
    fed.feed(30)
    fed.wait_until_all_is_stored()
    # The spool does not resend these minutes, since the backup has later ones: only the reporter's blocks have them.
    first, last = int(minute(100).timestamp()), int(minute(110).timestamp())
    with closing(sqlite3.connect(backup)) as database, database:
        for table in ("REAL_VAL_TB", "OUTLIER_VAL_TB"):
            database.execute(f"DELETE FROM {table} WHERE at >= ? AND at < ?", (first, last))
    # Otherwise ingest republishes what the broker acknowledged within the last two minutes.
    process = fed.site.process("ingest")
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: fed.site.process("ingest") not in (0, process), 30, "ingest runs again")
    wait_for(lambda: fed.site.wvr("status").returncode == 0, 60, "all is healthy again")

    restored = fed.site.wvr("restore", str(backup))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "stopping forecaster, detector, reporter, db_writer" in restored.stdout
    assert "older.db" in restored.stdout
    site_assertions.assert_all_services_healthy(fed.site)
    fed.feed(5)
    fed.wait_until_all_is_stored(150)
    assert fed.values() == fed.expected()
    block_rows = "SELECT at FROM REAL_VAL_TB WHERE source = 'outbox' ORDER BY at"
    deleted_minutes: list[tuple[int | str, ...]] = [(at,) for at in range(first, last, 60)]
    # A newer minute may come from a block until its reading arrives and replaces it.
    wait_for(lambda: fed.rows(block_rows) == deleted_minutes, 30, "only the deleted minutes come from blocks")
    fed.wait_for_alert()


def test_lock_of_another_program_is_reported_and_nothing_is_lost(fed: FedSite) -> None:
    command = [sys.executable, "-c", LOCK_SCRIPT, str(fed.site.data / "wvr.db")]
    db_writer_process = fed.site.process("db_writer")
    counts_before = fed.counts()
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as editor,
        listening(fed.site, "viewer") as viewer,
    ):
        assert editor.stdout
        assert editor.stdout.readline() == "holds\n"
        fed.feed(5)
        lock_text = f"wvr.db is locked by another program: {Path(sys.executable).name[:15]} (process {editor.pid})"
        wait_for(
            lambda: any(lock_text in note for note in notes(viewer, "db_writer")), 30, f"a status with: {lock_text}"
        )
        assert lock_text in (fed.site.data / "log/db_writer.log").read_text(encoding="utf-8")
        for _ in range(3):
            fed.feed(1)
            fed.wait_for_alert()
        wait_for(lambda: len(notes(viewer, "db_writer")) >= 3, 40, "the status still reports it after twenty seconds")
        site_assertions.assert_degraded(fed.site, "db_writer")
        assert fed.counts() == counts_before
        editor.communicate()
        fed.wait_until_all_is_stored(15)
    assert fed.values() == fed.expected()
    assert fed.site.process("db_writer") == db_writer_process


def test_damaged_database_of_a_running_site_is_repaired_without_loss(fed: FedSite) -> None:
    """Takes minutes: the processes end, the database is replaced, and the backfill waits for two ticks."""
    make_backup(fed.site)
    fed.feed(30)
    fed.wait_until_all_is_stored()
    wait_for(lambda: checkpoint_wal(fed.site.data / "wvr.db"), 60, "all pages are in wvr.db itself")
    with (fed.site.data / "wvr.db").open("r+b") as file, listening(fed.site, "viewer") as viewer:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
        file.flush()
        os.kill(fed.site.process("detector"), signal.SIGKILL)  # the restarted detector reads the damaged pages
        wait_for(
            lambda: any("was damaged" in note for note in notes(viewer, "db_writer")),
            60,
            "a status that reports the damage",
        )
    fed.feed(5)
    fed.wait_until_all_is_stored(240)
    assert fed.values() == fed.expected()
    site_assertions.assert_degraded(fed.site, "db_writer")  # It reports the repair until its text file is deleted.
    fed.wait_for_alert()
    assert list(fed.site.data.glob("wvr.db.corrupt-*[0-9]"))


def checkpoint_wal(database: Path) -> bool:
    """Empty the write-ahead log into the file; return whether that succeeded, so that reads use the file's pages."""
    connection = sqlite3.connect(database)
    try:
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    finally:
        connection.close()


def make_backup(site: RunningSite) -> Path:
    """Make a backup and return its path."""
    backup_run = site.wvr("backup")
    assert backup_run.returncode == 0, backup_run.stdout + backup_run.stderr
    return list(backups.list_backups(site.data / "backup").values())[-1]
