"""A running local site: from a published reading to its stored verdict and alert.txt, and what all services weigh."""

from __future__ import annotations

import itertools
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from bench.speed.records import ZONE
from cli.bootstrap import VENV
from cli.local_config import supervisor_conf
from shared.runtime.health import resident_megabytes
from tests.conftest import free_port
from tests.e2e.running_site import Listener, RunningSite, listening

SITE = '[site]\nname = "bench"\n[ingest]\nsource = "file"\n[training]\nautomatic = false\n'
READING_COUNT = 200
WEEK_MINUTES = 10_080


@contextmanager
def following_site(folder: Path) -> Iterator[RunningSite]:
    """A fresh local site that follows a file."""
    folder.mkdir()
    site = RunningSite.create(folder, free_port(), SITE)
    started = site.wvr("up", "--local")
    if started.returncode:
        raise RuntimeError(started.stdout + started.stderr)
    try:
        yield site
    finally:
        site.wvr("down")


def verdict_delays(site: RunningSite) -> list[float]:
    """Milliseconds from hearing a reading on the broker to its verdict in the database and its line in alert.txt."""
    file = site.data / "sensor/live.csv"
    # Minutes to come, so that no line for a minute without a reading goes before them in alert.txt.
    at = datetime.now(ZONE).replace(second=0, microsecond=0) + timedelta(minutes=2)
    found = []
    database = sqlite3.connect(f"file:{site.data / 'wvr.db'}?mode=ro", uri=True)
    with listening(site, "viewer") as viewer:
        for number in range(READING_COUNT):
            minute = at + timedelta(minutes=number)
            write_lines(file, "001", [minute])
            _until(lambda: minute.isoformat() in _newest_minutes(viewer))  # noqa: B023
            heard = time.perf_counter()
            _until(lambda: _is_stored(database, "001", minute) and site.alert_minute() == minute.replace(tzinfo=None))  # noqa: B023
            found.append(1000 * (time.perf_counter() - heard))
    return found


def backlog_catch_up(site: RunningSite) -> tuple[float, list[float]]:
    """Seconds until a week of one sensor is stored and judged; meanwhile the delays of another's new minutes, ms."""
    now = datetime.now(ZONE).replace(second=0, microsecond=0)
    week = [now - timedelta(minutes=WEEK_MINUTES - minute) for minute in range(WEEK_MINUTES)]
    database = sqlite3.connect(f"file:{site.data / 'wvr.db'}?mode=ro", uri=True)
    write_lines(site.data / "sensor/week.csv", "week", week)
    began, found = time.perf_counter(), []
    for number in itertools.count(1):
        at, written = now + timedelta(minutes=number), time.perf_counter()
        write_lines(site.data / "sensor/new.csv", "new", [at])
        _until(lambda: _is_stored(database, "new", at), 60)  # noqa: B023
        found.append(1000 * (time.perf_counter() - written))
        if _verdict_count(database, "week") == WEEK_MINUTES:
            return time.perf_counter() - began, found
    raise AssertionError


def write_lines(file: Path, sensor: str, minutes: Iterable[datetime]) -> None:
    """Appends a line a minute, flow rate by its number within the hour."""
    with file.open("a", encoding="ascii") as log:
        log.writelines(f"{at:%Y-%m-%d %H:%M},{sensor},{60 + at.minute % 7},4.0\n" for at in minutes)


def resident_memory(site: RunningSite) -> dict[str, float]:
    """Resident megabytes of the broker and each service."""
    command = [str(VENV / "bin/supervisorctl"), "-c", str(supervisor_conf(site.data)), "status"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    processes = {line.split()[0]: line.split("pid ")[1].split(",")[0] for line in lines}
    return {name: resident_megabytes(Path(f"/proc/{process}")) for name, process in processes.items()}


def percentile(values: list[float], percent: int) -> float:
    """A percentile of some values."""
    return statistics.quantiles(values, n=100)[percent - 1]


def _newest_minutes(viewer: Listener) -> list[str]:
    """Minutes of the newest readings; one that is said again must not pass for the next."""
    return [reading["at"] for reading in viewer.messages("reading")[-5:]]


def _is_stored(database: sqlite3.Connection, sensor: str, minute: datetime) -> bool:
    sql = "SELECT 1 FROM OUTLIER_VAL_TB WHERE sensor = ? AND at = ?"
    return database.execute(sql, (sensor, int(minute.timestamp()))).fetchone() is not None


def _verdict_count(database: sqlite3.Connection, sensor: str) -> int:
    sql = "SELECT count(*) FROM OUTLIER_VAL_TB WHERE sensor = ?"
    return int(database.execute(sql, (sensor,)).fetchone()[0])


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits busily: milliseconds are what is measured."""
    limit = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > limit:
            raise TimeoutError("the reading did not come through")
        time.sleep(0.001)
