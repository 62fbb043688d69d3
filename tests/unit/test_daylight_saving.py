"""DST changes through all services: every minute has one verdict, and every block is complete."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli.replay import replay
from services.ingest.sources.simulator import Simulator
from services.ingest.tables.documented import read_measurements
from services.reporter.line_format import key_to_time, minute_key
from shared.settings import Settings
from shared.settings.sections import Site

BERLIN = ZoneInfo("Europe/Berlin")
SITE = Simulator(1, ("001",), 60.0, 4.0, BERLIN)
HOURS = 12


def replayed(folder: Path, begin: datetime) -> Settings:
    """Replay twelve hours of a logger that writes local time without offset; minute 150 is missing."""
    series = SITE.history("001", int(begin.timestamp()), int(begin.timestamp()) + HOURS * 3600)
    lines = ["timestamp,sensor,flow_rate,pressure"]
    for at, flow_rate, pressure in zip(series.at, series.flow_rate, series.pressure, strict=True):
        if at != int(begin.timestamp()) + 9000:
            lines.append(f"{datetime.fromtimestamp(at, BERLIN):%Y-%m-%d %H:%M},001,{flow_rate},{pressure}")
    (folder / "in.csv").write_text("\n".join(lines), encoding="ascii")
    settings = Settings(data=folder / "data", site=Site(name="site1", timezone="Europe/Berlin"))
    replay(read_measurements(folder / "in.csv", settings.zone), settings, [])
    return settings


@pytest.mark.parametrize(
    ("begin", "block_times"),
    [
        ("2026-10-24T23:00Z", ["0230", "0240", "0250", "02B00", "02B10", "02B20", "02B30", "02B40", "02B50", "0300"]),
        ("2026-03-28T23:00Z", ["0130", "0140", "0150", "0300", "0310"]),
    ],
)
def test_dst_change_loses_no_minute_and_no_block(tmp_path: Path, begin: str, block_times: list[str]) -> None:
    first = datetime.fromisoformat(begin)
    settings = replayed(tmp_path, first)
    with sqlite3.connect(settings.database) as database:
        rows = database.execute("SELECT at FROM OUTLIER_VAL_TB ORDER BY at").fetchall()
        anomalies = database.execute("SELECT count(*) FROM ANOMALY_TB").fetchone()
        issued = database.execute("SELECT DISTINCT issued_at FROM PRED_VAL_TB").fetchall()
    expected = [int(first.timestamp()) + 60 * minute for minute in range(HOURS * 60) if minute != 150]
    assert [row[0] for row in rows] == expected
    assert anomalies == (0,)
    assert len(issued) <= HOURS + 1

    outbox = settings.sensor_folder / "outbox"
    names = sorted(path.name for path in outbox.iterdir())
    starts = [first + timedelta(minutes=10 * block) for block in range(HOURS * 6)]
    expected_names = [
        f"server-{minute_key(int(at.timestamp()), BERLIN).replace('-', '').replace(':', '')}.txt" for at in starts
    ]
    assert names == sorted(expected_names) == expected_names
    assert " ".join(block_times) in " ".join(name[16:-4] for name in names)
    for name, at in zip(names, starts, strict=True):
        lines = (outbox / name).read_text().splitlines()
        minutes = [(at + timedelta(minutes=minute)).astimezone(BERLIN) for minute in range(10)]
        assert [line.split()[1] for line in lines] == [f"{minute:%Y-%m-%dT%H:%M}" for minute in minutes]
        missing = [minute for minute, line in zip(minutes, lines, strict=True) if line.split()[2] == "NULL"]
        assert [minute.astimezone(UTC) for minute in missing] == [
            minute for minute in (first + timedelta(minutes=150),) if at <= minute < at + timedelta(minutes=10)
        ]


@pytest.mark.parametrize("name", ["2026-10-25T02:30", "2026-10-25T02B30", "2026-10-25T03:00", "2026-03-29T03:00"])
def test_minute_key_names_one_minute(name: str) -> None:
    assert minute_key(int(key_to_time(name, BERLIN).timestamp()), BERLIN) == name
