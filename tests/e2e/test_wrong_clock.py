"""Ingest's own feed on a machine whose clock is wrong: a process under libfaketime, its seconds as long as minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from cli.bootstrap import ROOT, CommandError, apt_install
from tests.polling import wait_for

LIBRARY = "*/faketime/libfaketimeMT.so.1"
PROGRAM = """
import select, sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo
from services.ingest.source_poller import Feed, NewestTick
from services.ingest.tick_clock import Minutes
from services.ingest.sources.simulator import Simulator, SimulatorSource

zone, newest = ZoneInfo("Asia/Seoul"), NewestTick(Path(sys.argv[1]))
source = SimulatorSource(Simulator(1, ("001",), 60.0, 4.0, zone))
minutes = Minutes(newest.read(), newest.keep)
feed = Feed(source, "site1", zone, minutes, lambda: datetime.now(zone), lambda: 0, lambda: None)
while True:
    for delivery in feed():
        print(type(delivery.message).__name__, delivery.message.at.isoformat(), flush=True)
        delivery.done()
    select.select([], [], [], 0.02)
"""


@pytest.fixture(scope="module")
def library() -> str:
    if not list(Path("/usr/lib").glob(LIBRARY)):
        try:
            apt_install("libfaketime", why="this test sets a clock")
        except CommandError as missing:
            pytest.skip(str(missing))
    return str(next(Path("/usr/lib").glob(LIBRARY)))


class Machine:
    """A machine whose clock a file sets; it remembers what its feed has output."""

    def __init__(self, folder: Path, library: str) -> None:
        self._folder, self._library, self._clock = folder, library, folder / "clock"
        self._output = folder / "said"

    def set_clock(self, offset: str) -> None:
        beside = self._folder / "clock.new"
        beside.write_text(f"{offset} x60", encoding="ascii")
        beside.replace(self._clock)

    @contextmanager
    def running(self) -> Iterator[None]:
        variables = {
            **os.environ,
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with self._output.open("ab") as output:
            command = [sys.executable, "-c", PROGRAM, str(self._folder / "tick")]
            process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output)
            try:
                yield
            finally:
                process.kill()
                process.wait()

    def times(self, kind: str) -> list[datetime]:
        lines = [line.split() for line in self._output.read_text(encoding="ascii").splitlines()]
        return [datetime.fromisoformat(line[1]) for line in lines if len(line) == 2 and line[0] == kind]

    def await_ticks(self, more: int) -> None:
        wanted = len(self.times("Tick")) + more
        wait_for(lambda: len(self.times("Tick")) >= wanted, 60, f"{more} more ticks")


def test_no_clock_jump_sets_ticks_back_or_stops_them(tmp_path: Path, library: str) -> None:
    machine = Machine(tmp_path, library)
    machine.set_clock("+0")
    with machine.running():
        machine.await_ticks(3)
        for offset in ("+366d", "+0", "-63m", "-20000d", "+0"):
            machine.set_clock(offset)
            machine.await_ticks(3)
    machine.set_clock("+366d")
    with machine.running():
        machine.await_ticks(3)
    ticks, minutes = machine.times("Tick"), machine.times("Measurement")
    assert all(before < after for before, after in pairwise(ticks))
    assert (ticks[-1] - ticks[0]).days < 1
    assert all(ticks[0] <= minute <= ticks[-1] for minute in minutes)
    assert len(minutes) >= len(ticks) - 2
