"""The broker or db_writer is killed midway through a first start and an import: each minute is stored exactly once."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from cli.bootstrap import ROOT
from services.ingest.sources.simulator import Simulator
from shared.domain.series import DAY, MINUTE
from shared.settings import Settings
from tests.conftest import Mosquitto
from tests.polling import wait_for

SENSORS, DAYS = ("001", "002", "003"), 30
MINUTES = len(SENSORS) * DAYS * DAY // MINUTE
SITE_TOML = f"[simulator]\nhistory_days = {DAYS}\nsensors = {list(SENSORS)}\n"
MAX_INGEST_MB = 150
"""Peak memory of ingest, as with a year of 30 sensors."""


class Processes:
    """Services and commands of a site without accounts, each a process that can be killed."""

    def __init__(self, settings: Settings, mosquitto: Mosquitto) -> None:
        self.settings, self.mosquitto = settings, mosquitto
        self.running: dict[str, subprocess.Popen[str]] = {}
        site_file = settings.data.parent / "site.toml"
        site_file.write_text(SITE_TOML, encoding="ascii")
        self.environment = os.environ | {
            "WVR_DATA": str(settings.data),
            "WVR_SECRETS": str(settings.secrets),
            "WVR_SITE_FILE": str(site_file),
            "WVR_BROKER__PORT": str(settings.broker.port),
        }

    def start(self, name: str, *module: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *(module or (f"services.{name}.main",))]
        environment = self.environment | {"WVR_HEARTBEAT": str(self.settings.data.parent / f"heartbeat-{name}")}
        self.running[name] = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self.running[name]

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        output, _ = process.communicate(timeout=10)
        print(f"{name}:\n{output}")

    def kill_broker(self) -> None:
        self.mosquitto.kill()
        self.mosquitto.start()

    def restart_db_writer(self) -> None:
        self.kill("db_writer")
        self.start("db_writer")

    def query(self, sql: str) -> int:
        """Return the first number of a query; 0 without a database."""
        try:
            with closing(sqlite3.connect(f"file:{self.settings.database}?mode=ro", uri=True)) as database:
                return int(database.execute(sql).fetchone()[0] or 0)
        except sqlite3.OperationalError:
            return 0

    def stored(self, source: str) -> int:
        return self.query(f"SELECT count(*) FROM REAL_VAL_TB WHERE source = '{source}'")

    def disturb_midway(self, source: str, disturbance: Callable[[], None]) -> None:
        """Disturb the transfer when a tenth of the minutes is stored."""
        wait_for(lambda: self.stored(source) > MINUTES / 10, 30, "a tenth is stored", pause=0.01)
        disturbance()
        assert self.stored(source) < MINUTES, "the disturbance came too late"


@pytest.fixture
def processes(settings: Settings, mosquitto: Mosquitto) -> Iterator[Processes]:
    processes = Processes(settings, mosquitto)
    processes.start("db_writer")
    yield processes
    for name in list(processes.running):
        processes.kill(name)


def disturbance(processes: Processes, name: str) -> Callable[[], None]:
    return {"broker": processes.kill_broker, "db_writer": processes.restart_db_writer}[name]


@pytest.mark.parametrize("victim", ["broker", "db_writer"])
def test_first_start_stores_each_minute_once(processes: Processes, victim: str) -> None:
    ingest = processes.start("ingest")
    processes.disturb_midway("history", disturbance(processes, victim))
    mark = processes.settings.data / "spool/history.sent"
    wait_for(mark.exists, 60, "the history is complete")
    first, last = (int(seconds) for seconds in mark.read_text(encoding="ascii").split())
    assert last - first == DAYS * DAY
    span = f"at >= {first} AND at < {last}"
    assert processes.query(f"SELECT count(*) FROM REAL_VAL_TB WHERE {span}") == MINUTES
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{ingest.pid}/status").read_text(encoding="ascii"))
    assert int(peak) / 1024 < MAX_INGEST_MB


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the past readings of three sensors."""
    zone = Settings().zone
    site = Simulator(7, SENSORS, 60.0, 4.0, zone)
    first = int(datetime(2024, 3, 1, tzinfo=zone).timestamp())
    file = tmp_path_factory.mktemp("table") / "past.csv"
    with file.open("w", encoding="ascii") as lines:
        lines.write("timestamp,sensor,flow_rate,pressure\n")
        for sensor in SENSORS:
            series = site.history(sensor, first, first + DAYS * DAY)
            times = (datetime.fromtimestamp(at, zone).isoformat() for at in series.at.tolist())
            rows = zip(times, series.flow_rate.tolist(), series.pressure.tolist(), strict=True)
            lines.writelines(f"{at},{sensor},{flow_rate},{pressure}\n" for at, flow_rate, pressure in rows)
    return file


@pytest.mark.parametrize("victim", ["broker", "db_writer"])
def test_import_stores_each_minute_once(processes: Processes, table: Path, victim: str) -> None:
    command = processes.start("import", "cli", "import", str(table), "--yes")
    processes.disturb_midway("import", disturbance(processes, victim))
    output, _ = command.communicate(timeout=60)
    assert command.returncode == 0, output
    assert f"{MINUTES:,} readings stored, 0 already there and equal" in output
    assert processes.stored("import") == MINUTES
