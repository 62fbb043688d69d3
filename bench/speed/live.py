"""A running local site: from a published reading to its stored verdict and alert.txt, and what all services weigh."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from bench.speed.records import ZONE
from cli.local_files import supervisor_conf
from cli.packages import VENV
from shared.runtime.health import resident_megabytes
from tests.conftest import free_port
from tests.e2e.running import RunningSite, listening

SITE = '[site]\nname = "bench"\n[ingest]\nsource = "file"\n[training]\nautomatic = false\n'
READINGS = 200


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


def delays(site: RunningSite) -> list[float]:
    """Milliseconds from hearing a reading on the broker to its verdict in the database and its line in alert.txt."""
    file = site.data / "sensor/live.csv"
    # Minutes to come, so that no line for a minute without a reading goes before them in alert.txt.
    at = datetime.now(ZONE).replace(second=0, microsecond=0) + timedelta(minutes=2)
    found = []
    database = sqlite3.connect(f"file:{site.data / 'wvr.db'}?mode=ro", uri=True)
    with listening(site, "viewer") as viewer, file.open("a", encoding="ascii") as log:
        for number in range(READINGS):
            minute = at + timedelta(minutes=number)
            log.write(f"{minute:%Y-%m-%d %H:%M},001,{60 + number % 7},4.0\n")
            log.flush()
            _until(lambda: len(viewer.messages("reading")) > number)  # noqa: B023
            heard = time.perf_counter()
            _until(lambda: _is_stored(database, minute) and site.alert_minute() == minute.replace(tzinfo=None))  # noqa: B023
            found.append(1000 * (time.perf_counter() - heard))
    return found


def memory(site: RunningSite) -> dict[str, float]:
    """Resident megabytes of the broker and each service."""
    command = [str(VENV / "bin/supervisorctl"), "-c", str(supervisor_conf(site.data)), "status"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    processes = {line.split()[0]: line.split("pid ")[1].split(",")[0] for line in lines}
    return {name: resident_megabytes(Path(f"/proc/{process}")) for name, process in processes.items()}


def percentile(values: list[float], percent: int) -> float:
    """A percentile of some values."""
    return statistics.quantiles(values, n=100)[percent - 1]


def _is_stored(database: sqlite3.Connection, minute: datetime) -> bool:
    sql = "SELECT 1 FROM OUTLIER_VAL_TB WHERE at = ?"
    return database.execute(sql, (int(minute.timestamp()),)).fetchone() is not None


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits busily: milliseconds are what is measured."""
    limit = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > limit:
            raise TimeoutError("the reading did not come through")
        time.sleep(0.001)
