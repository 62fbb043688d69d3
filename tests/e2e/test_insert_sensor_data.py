"""Nine months of sensor data are imported once; the first version took 194 s for the same test."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

from cli.import_ import main as import_
from services.ingest.sources.simulator import Simulator
from shared.domain.series import MINUTE

ROWS = 396_001
FIRST = 1_767_193_200
"""Unix seconds: 2026-01-01 00:00 in Korea."""


def write_rows(path: Path) -> None:
    """Write nine months of one simulated sensor, with an invalid line at the end."""
    simulator = Simulator(1, ("001",), 60.0, 4.0, ZoneInfo("Asia/Seoul"))
    series = simulator.history("001", FIRST, FIRST + ROWS * MINUTE)
    minutes = (series.at.astype("datetime64[s]") + 9 * 3600).astype(str)
    lines = zip(minutes, series.flow_rate, series.pressure, strict=True)
    text = "".join(f"{at.replace('T', ' ')},001,{flow:.2f},{pressure:.2f}\n" for at, flow, pressure in lines)
    path.write_text(f"timestamp,sensor,flow_rate,pressure\n{text}2026-10-10 10:10,001,wet,4.0\n", encoding="ascii")


def test_nine_months_of_sensor_data_are_stored_once(tmp_path: Path) -> None:
    write_rows(tmp_path / "readings.csv")
    for _ in range(2):
        assert import_([str(tmp_path / "readings.csv"), "--data", str(tmp_path / "data"), "--yes"]) == 1
    with sqlite3.connect(tmp_path / "data/wvr.db") as database:
        stored = database.execute("SELECT count(*), min(at), max(at) FROM REAL_VAL_TB").fetchone()
        hours = database.execute("SELECT count(*), sum(minutes) FROM HOURLY_VAL_TB").fetchone()
        nights = database.execute("SELECT count(*) FROM NIGHT_FLOW_VAL_TB").fetchone()
    assert stored == (ROWS, FIRST, FIRST + (ROWS - 1) * MINUTE)
    assert hours == (6601, ROWS)
    assert nights == (275 * 42 + 1,)
