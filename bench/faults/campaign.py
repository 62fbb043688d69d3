"""A local site fed at high rate while, by a seed, its services and broker are killed, stopped and locked out."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bench.speed.records import ZONE
from cli.local_files import broker_folder, supervisor_conf
from cli.packages import VENV
from tests.e2e.running import RunningSite

SERVICES = ("ingest", "detector", "forecaster", "db_writer", "reporter", "trainer")
COLUMNS = "at, flow_rate_system, flow_rate_value, flow_rate_prediction, flow_rate_night, pressure_system, pressure_value, pressure_prediction"  # noqa: E501


@dataclass
class Campaign:
    """Feeds readings, does harm between them, and counts what came of it."""

    site: RunningSite
    seed: int
    minutes: int
    faults: int
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        hour = datetime.now(ZONE).replace(minute=0, second=0, microsecond=0)
        self._start = hour - timedelta(hours=self.minutes // 60 + 2)

    def lines(self, first: int, last: int) -> list[str]:
        """Lines of the file; all of them are of past minutes."""
        return [line(minute, self._start + timedelta(minutes=minute)) for minute in range(first, last)]

    def replay(self, folder: Path) -> Path:
        """Replays the same minutes undisturbed; returns the data folder."""
        (folder / "all.csv").write_text("".join(self.lines(0, self.minutes)), encoding="ascii")
        done = self.site.wvr("replay", str(folder / "all.csv"), "--data", str(folder / "r"), "--site", "bench")
        if done.returncode:
            raise RuntimeError(done.stderr)
        return folder / "r"

    def blocks(self, data: Path | None = None) -> dict[str, str]:
        """Texts in the outbox by name, of this site or of another data folder."""
        outbox = (data or self.site.data) / "sensor/outbox"
        return {path.name: path.read_text(encoding="utf-8") for path in outbox.glob("server-*.txt")}

    def run(self, pause: float) -> None:
        """Writes the minutes to the followed file in as many portions as there are faults; a fault after each."""
        portions = self.faults + 1
        for portion in range(portions):
            first, last = self.minutes * portion // portions, self.minutes * (portion + 1) // portions
            with (self.site.data / "sensor/live.csv").open("a", encoding="ascii") as file:
                file.writelines(self.lines(first, last))
            time.sleep(self._random.uniform(0, pause))
            if portion < self.faults:
                self._harm()

    def counts(self) -> tuple[int, int]:
        """Stored readings and verdicts."""
        found = self._rows("SELECT (SELECT count(*) FROM REAL_VAL_TB), (SELECT count(*) FROM OUTLIER_VAL_TB)")
        return (found[0][0], found[0][1]) if found else (0, 0)

    def wait(self, seconds: float) -> float:
        """Seconds until all is stored and judged. Raises TimeoutError."""
        began = time.monotonic()
        while self.counts() != (self.minutes, self.minutes):
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"of {self.minutes}, readings and verdicts stored: {self.counts()}")
            time.sleep(0.2)
        return time.monotonic() - began

    def verdicts(self, database: Path | None = None) -> dict[int, tuple[int | None, ...]]:
        """Flags of each minute, in this site or in another database."""
        rows = self._rows(f"SELECT {COLUMNS} FROM OUTLIER_VAL_TB", database)
        return {row[0]: row[1:] for row in rows}

    def _harm(self) -> None:
        kinds: dict[str, Callable[[], None]] = {
            "kill a service": lambda: self._kill(self._random.choice(SERVICES)),
            "kill two services": lambda: self._kill(*self._random.sample(SERVICES, 2)),
            "kill the broker": lambda: self._kill("broker"),
            "power cut, broker's memory lost": self._cut_power,
            "hold the write lock": self._lock,
            "stop a service for a while": lambda: self._stop(self._random.choice(SERVICES)),
            "stop the broker for a while": lambda: self._stop("broker"),
        }
        kind = self._random.choice(list(kinds))
        self.done[kind] += 1
        kinds[kind]()

    def _kill(self, *names: str) -> None:
        running = self._processes()
        for name in names:
            _signal(running.get(name), signal.SIGKILL)

    def _cut_power(self) -> None:
        supervisor = int((self.site.data / "run/supervisord.pid").read_text(encoding="ascii"))
        running = self._processes()
        _signal(supervisor, signal.SIGSTOP)
        for process in running.values():
            _signal(process, signal.SIGKILL)
        (broker_folder(self.site.data) / "mosquitto.db").unlink(missing_ok=True)
        _signal(supervisor, signal.SIGCONT)

    def _stop(self, name: str) -> None:
        process = self._processes().get(name)
        _signal(process, signal.SIGSTOP)
        time.sleep(self._random.uniform(0.5, 3))
        _signal(process, signal.SIGCONT)

    def _lock(self) -> None:
        database = sqlite3.connect(self.site.data / "wvr.db", timeout=10, isolation_level=None)
        with suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
            time.sleep(self._random.uniform(1, 4))
        database.close()

    def _processes(self) -> dict[str, int]:
        """Process ids of the broker and the services that run."""
        command = [str(VENV / "bin/supervisorctl"), "-c", str(supervisor_conf(self.site.data)), "status"]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        return {line.split()[0]: int(line.split("pid ")[1].split(",")[0]) for line in lines if "pid " in line}

    def _rows(self, sql: str, database: Path | None = None) -> list[tuple[int, ...]]:
        connection = sqlite3.connect(f"file:{database or self.site.data / 'wvr.db'}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()


def line(minute: int, at: datetime) -> str:
    """A line of the file: a day's rhythm, hard to mistake for another's."""
    hour = minute % 1440 / 60
    flow = 60 + 20 * (1 - abs(hour - 12) / 12) + minute * 7919 % 101 / 50
    burst = 40 if minute % 9001 > 8900 else 0
    return f"{at:%Y-%m-%d %H:%M},001,{flow + burst:.2f},{4 - minute * 104_729 % 53 / 200:.3f}\n"


def _signal(process: int | None, number: signal.Signals) -> None:
    if process:
        with suppress(ProcessLookupError):
            os.kill(process, number)
