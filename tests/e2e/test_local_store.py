"""What may happen to wvr.db while a whole site runs: a restore, a foreign lock, a torn page."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from shared.store import backups
from tests.e2e import promises
from tests.e2e.running import Listener, RunningSite, listening, watching_alert
from tests.waiting import wait_for

ZONE = ZoneInfo("Asia/Seoul")
HOLD = """import sqlite3, sys
editor = sqlite3.connect(sys.argv[1], isolation_level=None)
editor.execute("BEGIN IMMEDIATE")
editor.execute("DELETE FROM REAL_VAL_TB")
print("holds", flush=True)
sys.stdin.read()
"""
"""An editor with an uncommitted change, which its end undoes."""
LOCKED_MINUTES = 1


def test_a_running_site_goes_back_to_a_backup_and_loses_nothing(local_site: RunningSite, tmp_path: Path) -> None:
    backup = tmp_path / "older.db"
    backup.write_bytes(backed_up(local_site).read_bytes())
    lost = forget_ten_minutes(backup, local_site.data / "sensor/outbox")
    live = wait_for(lambda: judged(local_site), 90, "a live minute is stored")

    restored = local_site.wvr("restore", str(backup))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "forecaster, detector, reporter, db_writer stop" in restored.stdout
    assert "older.db" in restored.stdout
    promises.every_service_is_healthy(local_site)
    newest_minute = local_site.wait_for_alert_after(local_site.alert_minute())

    wait_for(lambda: stored(local_site, lost) == ["outbox"] * 10, 90, "the reporter's blocks are stored")
    wait_for(lambda: live | {second(newest_minute)} <= judged(local_site), 90, "what was stored since is there again")
    assert unbroken(local_site)


def test_a_foreign_lock_is_named_and_nothing_is_lost(local_site: RunningSite) -> None:
    local_site.wait_for_alert_after(None)
    command = [sys.executable, "-c", HOLD, str(local_site.data / "wvr.db")]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as editor,
        listening(local_site, "viewer") as viewer,
        watching_alert(local_site) as minutes,
    ):
        assert editor.stdout
        assert editor.stdout.readline() == "holds\n"
        named = f"the database is locked by another program: {Path(sys.executable).name[:15]} (process {editor.pid})"
        wait_for(lambda: [note for note in notes(viewer) if named in note], 90, f"a status says: {named}")
        assert named in (local_site.data / "log/db_writer.log").read_text(encoding="utf-8")
        before = stored_until(local_site)
        wait_for(lambda: len(minutes) > LOCKED_MINUTES, 90, "alert.txt goes on")
        assert stored_until(local_site) == before
        promises.every_service_is_healthy(local_site)
        editor.communicate()
        wait_for(lambda: stored_until(local_site) >= second(minutes[-1]), 30, "what waited is stored")
    assert unbroken(local_site)
    wait_for(lambda: unjudged(local_site) == 0, 30, "every reading has its verdict")


def test_damage_of_a_running_site_is_mended_and_nothing_is_lost(local_site: RunningSite) -> None:
    backed_up(local_site)
    local_site.wait_for_alert_after(local_site.alert_minute())
    live = wait_for(lambda: judged(local_site), 90, "a live minute is stored")
    with (local_site.data / "wvr.db").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size // 3 // 4096 * 4096)
        file.write(b"\xa5" * (size // 3))
    os.kill(local_site.process("detector"), signal.SIGKILL)  # at its start it reads what was torn
    with listening(local_site, "viewer") as viewer:
        wait_for(lambda: [note for note in notes(viewer) if "was damaged" in note], 60, "the status tells of it")
    wait_for(lambda: live <= judged(local_site), 240, "all minutes since the backup are there again")
    promises.every_service_is_healthy(local_site)
    local_site.wait_for_alert_after(local_site.alert_minute())
    assert unbroken(local_site)
    assert list(local_site.data.glob("wvr.db.corrupt-*[0-9]"))


def backed_up(site: RunningSite) -> Path:
    """A backup made now."""
    made = site.wvr("backup")
    assert made.returncode == 0, made.stdout + made.stderr
    return list(backups.listed(site.data / "backup").values())[-1]


def forget_ten_minutes(backup: Path, outbox: Path) -> list[int]:
    """Takes ten old minutes out of a backup, and gives them to the reporter's blocks, as if they had come after it."""
    with closing(sqlite3.connect(backup)) as database, database:
        (newest,) = database.execute("SELECT max(at) FROM REAL_VAL_TB").fetchone()
        first = (newest - 3 * 86_400) // 600 * 600
        database.execute("DELETE FROM REAL_VAL_TB WHERE at >= ? AND at < ?", (first, first + 600))
    minutes = [datetime.fromtimestamp(first, ZONE) + timedelta(minutes=minute) for minute in range(10)]
    lines = (f"001  {at:%Y-%m-%dT%H:%M}  12.34  4.11  0 0 0 1  0 0 NULL  NULL NULL\n" for at in minutes)
    (outbox / f"server-{minutes[0]:%Y%m%dT%H%M}.txt").write_text("".join(lines), encoding="ascii")
    return [second(at) for at in minutes]


def second(at: datetime) -> int:
    """Epoch second of a minute in local time."""
    return int((at if at.tzinfo else at.replace(tzinfo=ZONE)).timestamp())


def rows(site: RunningSite, sql: str) -> list[tuple[int | str, ...]]:
    """What is stored now."""
    with closing(sqlite3.connect(f"file:{site.data}/wvr.db?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(sql).fetchall()


def stored(site: RunningSite, minutes: list[int]) -> list[int | str]:
    """Sources of some minutes that are stored with a verdict."""
    marks = ",".join(map(str, minutes))
    return [
        row[0]
        for row in rows(site, f"SELECT source FROM REAL_VAL_TB NATURAL JOIN OUTLIER_VAL_TB WHERE at IN ({marks})")
    ]


def judged(site: RunningSite) -> set[int]:
    """Minutes that came live and are stored with their verdicts."""
    sql = "SELECT at FROM REAL_VAL_TB NATURAL JOIN OUTLIER_VAL_TB WHERE source = 'simulator'"
    return {int(row[0]) for row in rows(site, sql)}


def unjudged(site: RunningSite) -> int:
    """Readings that came live and have no verdict."""
    sql = (
        "SELECT count(*) FROM REAL_VAL_TB LEFT JOIN OUTLIER_VAL_TB USING (site, sensor, at) WHERE source = 'simulator' "
    )
    return int(rows(site, f"{sql} AND flow_rate_system IS NULL")[0][0])


def stored_until(site: RunningSite) -> int:
    """The newest minute."""
    return int(rows(site, "SELECT max(at) FROM REAL_VAL_TB")[0][0])


def unbroken(site: RunningSite) -> bool:
    """Whether no live minute is missing."""
    minutes = sorted(int(row[0]) for row in rows(site, "SELECT at FROM REAL_VAL_TB WHERE source = 'simulator'"))
    return minutes == list(range(minutes[0], minutes[-1] + 60, 60))


def notes(viewer: Listener) -> list[str]:
    """What db_writer's status said."""
    return [str(message["note"]) for message in viewer.messages("service/db_writer")]
