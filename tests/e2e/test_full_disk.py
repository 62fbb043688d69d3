"""A whole local site on a disk that becomes full: nothing dies, the status says so, and it goes on by itself."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import free_port
from tests.disks import small_disk_at
from tests.e2e import promises
from tests.e2e.running import SERVICES, Listener, RunningSite, listening
from tests.waiting import wait_for

SITE = '[site]\nname = "test"\n[ingest]\nsource = "file"\n[training]\nautomatic = false\n'
START = datetime.now(ZoneInfo("Asia/Seoul")).replace(minute=0, second=0, microsecond=0) - timedelta(hours=4)


def fill_with_bytes(waste: Path) -> None:
    with suppress(OSError), (waste / "big").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def fill_with_files(waste: Path) -> None:
    with suppress(OSError):
        for number in range(100_000):
            (waste / str(number)).touch()


@pytest.mark.parametrize(
    ("limits", "fill", "hindered"),
    [
        ("size=12m", fill_with_bytes, ("ingest", "db_writer", "reporter")),
        ("nr_inodes=400", fill_with_files, ("reporter",)),
    ],
    ids=["no space", "no inodes"],
)
def test_a_full_disk_is_told_and_nothing_is_lost(
    tmp_path: Path, limits: str, fill: Callable[[Path], None], hindered: tuple[str, ...]
) -> None:
    site = RunningSite.create(tmp_path, free_port(), SITE)
    with small_disk_at(site.data, limits):
        try:
            assert site.wvr("up", "--local").returncode == 0
            write(site, 0, 60)
            wait_for(lambda: counts(site) == (60, 60), 30, "an hour is stored and judged")
            lives_through(site, fill, hindered)
        finally:
            site.wvr("down")


def lives_through(site: RunningSite, fill: Callable[[Path], None], hindered: tuple[str, ...]) -> None:
    processes = {name: site.process(name) for name in ("broker", *SERVICES)}
    waste = site.data / "waste"
    waste.mkdir()
    with listening(site, "viewer") as viewer:
        fill(waste)
        # The logger's file still has room in its last 4096 bytes.
        write(site, 60, 110)
        for name in hindered:
            wait_for(partial(tells, viewer, name), 40, f"the status of {name} says that the disk is full")
        promises.every_service_is_healthy(site)
        for path in waste.iterdir():
            path.unlink()
        wait_for(lambda: counts(site) == (110, 110), 60, "what waited is stored and judged")
    wait_for(lambda: site.alert_minute() == minute(109).replace(tzinfo=None), 30, "alert.txt goes on")
    blocks = sorted((site.data / "sensor/outbox").glob("server-*.txt"))
    wait_for(lambda: len(list((site.data / "sensor/outbox").glob("server-*.txt"))) == 11, 30, "eleven blocks")
    assert [len(block.read_text(encoding="utf-8").splitlines()) for block in blocks] == [10] * len(blocks)
    assert {name: site.process(name) for name in processes} == processes


def tells(viewer: Listener, service: str) -> bool:
    """Whether a service's status has said that the disk is full."""
    notes = [message["note"] for message in viewer.messages(f"service/{service}")]
    return any("No space left" in note or "the disk is full" in note for note in notes)


def minute(number: int) -> datetime:
    """Minutes of the logger's file."""
    return START + timedelta(minutes=number)


def write(site: RunningSite, first: int, stop: int) -> None:
    """What a logger appends."""
    with (site.data / "sensor/live.csv").open("a", encoding="ascii") as file:
        file.writelines(f"{minute(number):%Y-%m-%d %H:%M},001,{60 + number % 7},4.0\n" for number in range(first, stop))
        file.flush()
        os.fsync(file.fileno())


def counts(site: RunningSite) -> tuple[int, int]:
    """Stored readings and verdicts."""
    sql = "SELECT (SELECT count(*) FROM REAL_VAL_TB), (SELECT count(*) FROM OUTLIER_VAL_TB)"
    with closing(sqlite3.connect(f"file:{site.data}/wvr.db?mode=ro", uri=True, timeout=10)) as database:
        readings, verdicts = database.execute(sql).fetchone()
    return readings, verdicts
