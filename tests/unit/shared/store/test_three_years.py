"""Three years through the recorder, as db_writer runs it: the file keeps its size."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from shared.contract.messages import History
from shared.domain.series import DAY
from shared.store.recorder import Recorder
from tests.unit.makers import START, prediction, verdict

SEOUL = ZoneInfo("Asia/Seoul")
YEAR = 365
EVERY = 10
"""Minutes between two readings: a tenth of the rows of a real site."""


def test_three_years_keep_the_size_of_the_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0, 24, 168))
    sizes, aged = [], []
    for day in range(3 * YEAR):
        live_a_day(recorder, day)
        if day % YEAR == YEAR - 1:
            recorder._database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            sizes.append((tmp_path / "wvr.db").stat().st_size)
            aged.append(count(tmp_path, ("REAL_VAL_TB", "OUTLIER_VAL_TB", "PRED_VAL_TB")))
    free, whole = (pragma(tmp_path, name) for name in ("freelist_count", "page_count"))
    recorder.close()
    assert max(aged) - min(aged) < 0.02 * aged[0]
    assert free < 0.02 * whole
    # Hourly and night values stay for ever: 1.4 MB in a real site's year.
    growth = [later - earlier for earlier, later in pairwise(sizes)]
    lasting = count(tmp_path, ("HOURLY_VAL_TB", "NIGHT_FLOW_VAL_TB")) / 3 * 130
    assert max(growth) < lasting


def live_a_day(recorder: Recorder, day: int) -> None:
    """A day's messages, and two of the 24 times that db_writer forgets."""
    start = START + timedelta(days=day)
    minutes = range(day * 1440, (day + 1) * 1440, EVERY)
    past = tuple((start + timedelta(minutes=minute), 12.0, 4.0) for minute in range(0, 1440, EVERY))
    recorder.write([History("site1", "001", "test", 1, 1, past), *map(verdict, minutes), prediction(day * 1440)])
    for hour in (0, 12):
        recorder.forget_minutes(int((start + timedelta(hours=hour)).timestamp()), YEAR * DAY)


def count(folder: Path, tables: tuple[str, ...]) -> int:
    """Rows in some tables."""
    with sqlite3.connect(folder / "wvr.db") as database:
        return sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def pragma(folder: Path, name: str) -> int:
    with sqlite3.connect(folder / "wvr.db") as database:
        found: int = database.execute(f"PRAGMA {name}").fetchone()[0]
        return found
