"""Three years through the recorder, as db_writer runs it: the file keeps its size."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from shared.contract.messages import Anomaly, HistoryBatch, LocalizedText
from shared.domain.series import DAY
from shared.store.recorder import Recorder
from tests.unit.factories import START, minute_at, prediction, verdict

SEOUL = ZoneInfo("Asia/Seoul")
YEAR = 365
EVERY = 10
"""Minutes between two readings: a tenth of the rows of a real site."""
HOURS = (0, 12)
"""Hours of a day at which a forecast is issued and retention is applied."""
AWAY = range(500, 540)
"""Days without retention: the database was locked, the disk full, or the clock behind."""


def test_three_years_keep_the_file_size(tmp_path: Path) -> None:
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
    print(f"MB after each year: {[round(size / 1e6, 2) for size in sizes]}")
    assert max(aged) - min(aged) < 0.02 * aged[0]
    assert free < 0.02 * whole
    # Hourly and night values and anomalies stay for ever: 1.4 MB in a real site's year.
    growth = [later - earlier for earlier, later in pairwise(sizes)]
    summaries, anomalies = count(tmp_path, ("HOURLY_VAL_TB", "NIGHT_FLOW_VAL_TB")), count(tmp_path, ("ANOMALY_TB",))
    assert max(growth) < (130 * summaries + 350 * anomalies) / 3


def live_a_day(recorder: Recorder, day: int) -> None:
    """Write a day's messages with one anomaly a week, and apply retention as often as db_writer does."""
    start = START + timedelta(days=day)
    minutes = range(day * 1440, (day + 1) * 1440, EVERY)
    past = tuple(
        (start + timedelta(minutes=minute), 12 + minute * 7919 % 1009 / 100, 4 + minute * 104_729 % 53 / 200)
        for minute in range(0, 1440, EVERY)
    )
    anomalies = [anomaly(day)] if day % 7 == 0 else []
    recorder.write(
        [
            HistoryBatch(site="site1", sensor="001", source="test", part=1, of=1, minutes=past),
            *map(verdict, minutes),
            *anomalies,
        ]
    )
    for hour in HOURS:
        recorder.write([prediction(day * 1440 + hour * 60)])
        if day not in AWAY:
            recorder.apply_retention(int((start + timedelta(hours=hour)).timestamp()), YEAR * DAY)


def anomaly(day: int) -> Anomaly:
    """Return an anomaly that was cleared within the hour."""
    opened, cleared = minute_at(day * 1440), minute_at(day * 1440 + 40)
    text = LocalizedText("유량이 평소보다 12.0 m³/h 높습니다.", "Flow is 12.0 m³/h above what is usual.")
    return Anomaly(
        site="site1",
        sensor="001",
        id=f"a{day}",
        at=cleared,
        channels=("flow_rate",),
        methods=("value",),
        kind="burst",
        trigger="burst",
        state="cleared",
        acknowledged=False,
        severity="critical",
        opened_at=opened,
        onset_at=opened,
        cleared_at=cleared,
        peak=9.5,
        excess_m3h=12.0,
        text=text,
    )


def count(folder: Path, tables: tuple[str, ...]) -> int:
    """Return the number of rows in some tables."""
    with sqlite3.connect(folder / "wvr.db") as database:
        return sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def pragma(folder: Path, name: str) -> int:
    with sqlite3.connect(folder / "wvr.db") as database:
        value: int = database.execute(f"PRAGMA {name}").fetchone()[0]
        return value
