"""A local site that is fed at a high rate while seeded faults are injected, and a comparison of its output."""

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
    """Feeds readings, injects faults between them, and compares the output with an undisturbed replay."""

    def __init__(
        self, faultable: FaultableSite, seed: int, minutes: int, faults: int, form: str = "documented"
    ) -> None:
        """`form` is one of FORMS: that of the followed file."""
        self._form = form
        self._site, self._minutes, self._faults = faultable.site, minutes, faults
        self.injector = FaultInjector(faultable, seed)
        self.fault_counts: Counter[str] = Counter()
        hour = datetime.now(ZONE).replace(minute=0, second=0, microsecond=0)
        self._start = hour - timedelta(minutes=minutes + 120)
        self.readings = minutes * len(SENSORS)

    def run(self, pause: float) -> float:
        """Write the minutes to the followed file in as many portions as there are faults, with a fault after each.

        All minutes are in the past. Return the seconds that it took.
        """
        started_at, portions = time.monotonic(), self._faults + 1
        for portion in range(portions):
            first, last = self._minutes * portion // portions, self._minutes * (portion + 1) // portions
            with (self._site.data / "sensor/live.csv").open("a", encoding="cp949", newline="") as file:
                file.writelines(reading_lines(self._start, first, last, self._form))
            self.injector.pause(pause)
            if portion < self._faults:
                self.fault_counts[self.injector.inject()] += 1
        return time.monotonic() - started_at

    def wait(self, seconds: float) -> float:
        """Return the seconds until all verdicts are stored and the last full block is written. Raises TimeoutError."""
        started_at = time.monotonic()
        while (counts := self._counts()) != (self.readings, self.readings) or not self._last_block().exists():
            if time.monotonic() - started_at > seconds:
                raise TimeoutError(f"of {self.readings}, readings and verdicts stored: {counts}")
            time.sleep(0.2)
        return time.monotonic() - started_at

    def outcome(self, folder: Path) -> list[TableComparison]:
        """Replay the readings undisturbed in a folder and compare all output with it."""
        lines = "".join(reading_lines(self._start, 0, self._minutes, self._form))
        (folder / "all.csv").write_text(lines, encoding="cp949", newline="")
        replay = self._site.wvr(
            "replay", str(folder / "all.csv"), "--data", str(folder / "undisturbed"), "--site", "campaign"
        )
        if replay.returncode:
            raise RuntimeError(replay.stderr)
        last = self._start + timedelta(minutes=self._minutes - 1)
        return list(compare(self._site.data, folder / "undisturbed", last, folder))

    def _last_block(self) -> Path:
        at = self._start + timedelta(minutes=self._minutes // 10 * 10 - 10)
        return self._site.data / f"sensor/outbox/server-{at:%Y%m%dT%H%M}.txt"

    def _counts(self) -> tuple[int, int]:
        """Return the numbers of stored readings and verdicts."""
        connection = sqlite3.connect(f"file:{self._site.data / 'wvr.db'}?mode=ro", uri=True)
        try:
            sql = "SELECT (SELECT count(*) FROM REAL_VAL_TB), (SELECT count(*) FROM OUTLIER_VAL_TB)"
            readings, verdicts = connection.execute(sql).fetchone()
        except sqlite3.OperationalError:
            return 0, 0
        finally:
            connection.close()
        return readings, verdicts
