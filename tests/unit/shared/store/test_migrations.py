"""A database of an older version keeps its anomalies through the migrations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from peewee import SqliteDatabase
from playhouse import migrations

from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.schema import MIGRATIONS

SEOUL = ZoneInfo("Asia/Seoul")
OPENED = 1_790_000_000
IDS = {
    "001-flow_rate-drift-20260101T0000": ("step", "drift"),
    "001-flow_rate-unit-20260102T0000": ("out_of_range", "unit"),
    "001-flow_rate-last_night-20260103T0000": ("step", "last_night"),
    "001-flow_rate-step-20260104T0000": ("burst", "burst"),
    "001-flow_rate-last_night-20260105T0000": ("burst", "burst"),
    "001-flow_rate-leak-20260106T0000": ("leak", "leak"),
}
"""Id of an anomaly to its kind and the trigger that follows."""


def database_of_version_3(path: Path) -> None:
    database = SqliteDatabase(str(path))
    migrations.Runner(database, str(MIGRATIONS)).up("0003_scores")
    for number, (id_, (kind, _)) in enumerate(IDS.items()):
        database.execute_sql(
            "INSERT INTO ANOMALY_TB VALUES ('site1', '001', ?, ?, 'flow_rate', 'value', ?, 'cleared', 0, 'warning', "
            "?, ?, 1.5, 2.5, '한국어', 'English')",
            (id_, OPENED, kind, OPENED + number, OPENED + 100),
        )
    database.close()


def test_older_anomalies_get_channels_triggers_and_a_timeline(tmp_path: Path) -> None:
    database_of_version_3(tmp_path / "wvr.db")
    Recorder(tmp_path / "wvr.db", SEOUL, (0,)).close()
    anomalies = History(tmp_path / "wvr.db", SEOUL, "site1").anomalies("001", 0)
    assert {anomaly.id: (anomaly.kind, anomaly.trigger) for anomaly in anomalies} == IDS
    assert {(anomaly.channels, anomaly.methods) for anomaly in anomalies} == {(("flow_rate",), ("value",))}
    assert all(anomaly.onset_at == anomaly.opened_at for anomaly in anomalies)
    with closing(sqlite3.connect(tmp_path / "wvr.db")) as connection:
        assert connection.execute("SELECT count(*) FROM ANOMALY_STATE_VIEW").fetchone() == (len(IDS),)


def test_strays_of_an_older_database_become_doubted(tmp_path: Path) -> None:
    database = SqliteDatabase(str(tmp_path / "wvr.db"))
    migrations.Runner(database, str(MIGRATIONS)).up("0004_anomaly_states")
    minutes = [*range(100), 10_000_000, 10_000_001]
    for minute in minutes:
        database.execute_sql(
            "INSERT INTO REAL_VAL_TB VALUES ('site1', '001', ?, 1.0, 4.0, 'file')", (OPENED + 60 * minute,)
        )
    database.execute_sql("INSERT INTO HOURLY_VAL_TB (site, sensor, at, minutes) VALUES ('site1', '001', 0, 60)")
    database.close()
    Recorder(tmp_path / "wvr.db", SEOUL, (0,)).close()
    history = History(tmp_path / "wvr.db", SEOUL, "site1")
    assert history.reading_range("001") == (OPENED, OPENED + 60 * 99)
    assert len(history.doubted_ahead("001")) == 2
