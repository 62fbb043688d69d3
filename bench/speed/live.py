"""Measurements on a running local site: verdict delays, catch-up of a backlog, and memory of all services."""

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
    """Start a new local site that follows a file; stop it at the end."""
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
    """Return milliseconds from a reading on the broker to its verdict in the database and its line in alert.txt."""
    file = site.data / "sensor/live.csv"
    # Future minutes, so that alert.txt gets no line for a minute without a reading before them.
    at = datetime.now(ZONE).replace(second=0, microsecond=0) + timedelta(minutes=2)
    delays = []
    database = sqlite3.connect(f"file:{site.data / 'wvr.db'}?mode=ro", uri=True)
    with listening(site, "viewer") as viewer:
        for number in range(READING_COUNT):
            minute = at + timedelta(minutes=number)
            write_lines(file, "001", [minute])
            _until(lambda: minute.isoformat() in _newest_minutes(viewer))  # noqa: B023
            published = time.perf_counter()
            _until(lambda: _is_stored(database, "001", minute) and site.alert_minute() == minute.replace(tzinfo=None))  # noqa: B023
            delays.append(1000 * (time.perf_counter() - published))
    return delays


def backlog_catch_up(site: RunningSite) -> tuple[float, list[float]]:
    """Return seconds until a week of one sensor has verdicts, and delays (ms) of another's new minutes meanwhile."""
    now = datetime.now(ZONE).replace(second=0, microsecond=0)
    week = [now - timedelta(minutes=WEEK_MINUTES - minute) for minute in range(WEEK_MINUTES)]
    database = sqlite3.connect(f"file:{site.data / 'wvr.db'}?mode=ro", uri=True)
    write_lines(site.data / "sensor/week.csv", "week", week)
    started, delays = time.perf_counter(), []
    for number in itertools.count(1):
        at, written = now + timedelta(minutes=number), time.perf_counter()
        write_lines(site.data / "sensor/new.csv", "new", [at])
        _until(lambda: _is_stored(database, "new", at), 60)  # noqa: B023
        delays.append(1000 * (time.perf_counter() - written))
        if _verdict_count(database, "week") == WEEK_MINUTES:
            return time.perf_counter() - started, delays
    raise AssertionError


def write_lines(file: Path, sensor: str, minutes: Iterable[datetime]) -> None:
    """Append one line for each minute; the flow rate depends on the minute of the hour."""
    with file.open("a", encoding="ascii") as log:
        log.writelines(f"{at:%Y-%m-%d %H:%M},{sensor},{60 + at.minute % 7},4.0\n" for at in minutes)


def resident_memory(site: RunningSite) -> dict[str, float]:
    """Return the resident megabytes of the broker and each service."""
    command = [str(VENV / "bin/supervisorctl"), "-c", str(supervisor_conf(site.data)), "status"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    processes = {line.split()[0]: line.split("pid ")[1].split(",")[0] for line in lines}
    return {name: resident_megabytes(Path(f"/proc/{process}")) for name, process in processes.items()}


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile of the values."""
    return statistics.quantiles(values, n=100)[percent - 1]


def _newest_minutes(viewer: Listener) -> list[str]:
    """Return the minutes of the newest readings: a repeated one must not be taken for the next."""
    return [reading["at"] for reading in viewer.messages("reading")[-5:]]


def _is_stored(database: sqlite3.Connection, sensor: str, minute: datetime) -> bool:
    sql = "SELECT 1 FROM OUTLIER_VAL_TB WHERE sensor = ? AND at = ?"
    return database.execute(sql, (sensor, int(minute.timestamp()))).fetchone() is not None


def _verdict_count(database: sqlite3.Connection, sensor: str) -> int:
    sql = "SELECT count(*) FROM OUTLIER_VAL_TB WHERE sensor = ?"
    return int(database.execute(sql, (sensor,)).fetchone()[0])


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait with short sleeps, since milliseconds are measured. Raises TimeoutError."""
    limit = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > limit:
            raise TimeoutError("the expected reading or verdict is missing")
        time.sleep(0.001)
