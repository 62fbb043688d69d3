"""A local site fed at high rate while, by a seed, harm is done to it; then what is stored is compared."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from bench.faults.comparison import TableComparison, compare
from bench.faults.fault_injector import FaultInjector
from bench.faults.site import FaultableSite
from bench.faults.synthetic_readings import SENSORS, reading_lines
from bench.speed.records import ZONE


class Campaign:
    """Feeds readings, does harm between them, and counts what came of it."""

    def __init__(self, frail: FaultableSite, seed: int, minutes: int, faults: int) -> None:
        self._site, self._minutes, self._faults = frail.site, minutes, faults
        self.harm = FaultInjector(frail, seed)
        self.done: Counter[str] = Counter()
        hour = datetime.now(ZONE).replace(minute=0, second=0, microsecond=0)
        self._start = hour - timedelta(minutes=minutes + 120)
        self.readings = minutes * len(SENSORS)

    def run(self, pause: float) -> float:
        """Write the minutes to the followed file in as many portions as there are faults, with a fault after each.

        All minutes are in the past. Return the seconds that it took.
        """
        began, portions = time.monotonic(), self._faults + 1
        for portion in range(portions):
            first, last = self._minutes * portion // portions, self._minutes * (portion + 1) // portions
            with (self._site.data / "sensor/live.csv").open("a", encoding="ascii") as file:
                file.writelines(reading_lines(self._start, first, last))
            self.harm.pause(pause)
            if portion < self._faults:
                self.done[self.harm.inject()] += 1
        return time.monotonic() - began

    def wait(self, seconds: float) -> float:
        """Seconds until all is stored and judged, and the last whole block is written. Raises TimeoutError."""
        began = time.monotonic()
        while (counts := self._counts()) != (self.readings, self.readings) or not self._last_block().exists():
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"of {self.readings}, readings and verdicts stored: {counts}")
            time.sleep(0.2)
        return time.monotonic() - began

    def outcome(self, folder: Path) -> list[TableComparison]:
        """Compares all that came of it with an undisturbed replay, made in a folder."""
        (folder / "all.csv").write_text("".join(reading_lines(self._start, 0, self._minutes)), encoding="ascii")
        done = self._site.wvr("replay", str(folder / "all.csv"), "--data", str(folder / "calm"), "--site", "campaign")
        if done.returncode:
            raise RuntimeError(done.stderr)
        last = self._start + timedelta(minutes=self._minutes - 1)
        return list(compare(self._site.data, folder / "calm", last, folder))

    def _last_block(self) -> Path:
        at = self._start + timedelta(minutes=self._minutes // 10 * 10 - 10)
        return self._site.data / f"sensor/outbox/server-{at:%Y%m%dT%H%M}.txt"

    def _counts(self) -> tuple[int, int]:
        """Stored readings and verdicts."""
        connection = sqlite3.connect(f"file:{self._site.data / 'wvr.db'}?mode=ro", uri=True)
        try:
            sql = "SELECT (SELECT count(*) FROM REAL_VAL_TB), (SELECT count(*) FROM OUTLIER_VAL_TB)"
            readings, verdicts = connection.execute(sql).fetchone()
        except sqlite3.OperationalError:
            return 0, 0
        finally:
            connection.close()
        return readings, verdicts
