"""What may happen to wvr.db while a whole site runs: a restore, a foreign lock, torn pages."""

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
from tests.conftest import free_port
from tests.e2e import site_assertions
from tests.e2e.fed_site import SITE_TOML, FedSite, minute, notes
from tests.e2e.running_site import RunningSite, listening
from tests.polling import wait_for

HOLD = """import sqlite3, sys
editor = sqlite3.connect(sys.argv[1], isolation_level=None)
editor.execute("BEGIN IMMEDIATE")
editor.execute("DELETE FROM REAL_VAL_TB")
print("holds", flush=True)
sys.stdin.read()
"""
"""An editor with an uncommitted change, which its end undoes."""


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FedSite]:
    """A local site that follows a file, with ten hours stored."""
    site = RunningSite.create(tmp_path_factory.mktemp("fed"), free_port(), SITE_TOML)
    try:
        started = site.wvr("up", "--local")
        assert started.returncode == 0, started.stdout + started.stderr
        fed = FedSite(site)
        fed.feed(600)
        fed.wait_until_all_is_stored()
        yield fed
    finally:
        site.wvr("down")


def test_running_site_is_restored_without_loss(fed: FedSite, tmp_path: Path) -> None:
    backup = tmp_path / "older.db"
    backup.write_bytes(backed_up(fed.site).read_bytes())
    fed.feed(30)
    fed.wait_until_all_is_stored()
    # Minutes that the spool won't send again, since later ones are in the backup: only the reporter's blocks have them.
    first, last = int(minute(100).timestamp()), int(minute(110).timestamp())
    with closing(sqlite3.connect(backup)) as database, database:
        for table in ("REAL_VAL_TB", "OUTLIER_VAL_TB"):
            database.execute(f"DELETE FROM {table} WHERE at >= ? AND at < ?", (first, last))
    # A new process: ingest publishes again what the broker confirmed within the last two minutes.
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
    taken = "SELECT at FROM REAL_VAL_TB WHERE source = 'outbox' ORDER BY at"
    wanted: list[tuple[int | str, ...]] = [(at,) for at in range(first, last, 60)]
    # A newer minute may come from a block for a moment, until its reading, which is on its way, takes the place.
    wait_for(lambda: fed.rows(taken) == wanted, 30, "only what nobody else has is the blocks'")
    fed.wait_for_alert()


def test_a_foreign_lock_is_named_and_nothing_is_lost(fed: FedSite) -> None:
    command = [sys.executable, "-c", HOLD, str(fed.site.data / "wvr.db")]
    processes = fed.site.process("db_writer")
    before = fed.counts()
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as editor,
        listening(fed.site, "viewer") as viewer,
    ):
        assert editor.stdout
        assert editor.stdout.readline() == "holds\n"
        fed.feed(5)
        named = f"wvr.db is locked by another program: {Path(sys.executable).name[:15]} (process {editor.pid})"
        wait_for(lambda: any(named in note for note in notes(viewer, "db_writer")), 30, f"a status says: {named}")
        assert named in (fed.site.data / "log/db_writer.log").read_text(encoding="utf-8")
        for _ in range(3):
            fed.feed(1)
            fed.wait_for_alert()
        wait_for(lambda: len(notes(viewer, "db_writer")) >= 3, 40, "the status still says so after twenty seconds")
        site_assertions.assert_all_services_healthy(fed.site)
        assert fed.counts() == before
        editor.communicate()
        fed.wait_until_all_is_stored(15)
    assert fed.values() == fed.expected()
    assert fed.site.process("db_writer") == processes


def test_damage_of_a_running_site_is_repaired_without_loss(fed: FedSite) -> None:
    backed_up(fed.site)
    fed.feed(30)
    fed.wait_until_all_is_stored()
    wait_for(lambda: nothing_is_beside(fed.site.data / "wvr.db"), 60, "all pages are in wvr.db itself")
    with (fed.site.data / "wvr.db").open("r+b") as file, listening(fed.site, "viewer") as viewer:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
        file.flush()
        os.kill(fed.site.process("detector"), signal.SIGKILL)  # at its start it reads what was torn
        wait_for(lambda: any("was damaged" in note for note in notes(viewer, "db_writer")), 60, "the status says so")
    fed.feed(5)
    fed.wait_until_all_is_stored(240)
    assert fed.values() == fed.expected()
    site_assertions.assert_all_services_healthy(fed.site)
    fed.wait_for_alert()
    assert list(fed.site.data.glob("wvr.db.corrupt-*[0-9]"))


def nothing_is_beside(database: Path) -> bool:
    """Whether the write-ahead log could be emptied into the file, so that the file's pages are what is read."""
    connection = sqlite3.connect(database)
    try:
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    finally:
        connection.close()


def backed_up(site: RunningSite) -> Path:
    """A backup made now."""
    made = site.wvr("backup")
    assert made.returncode == 0, made.stdout + made.stderr
    return list(backups.list_backups(site.data / "backup").values())[-1]
