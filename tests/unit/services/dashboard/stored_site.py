"""A database of a site in a zone with daylight saving, written by the recorder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from services.dashboard.queries.database import Database
from shared.contract.messages import Anomaly, HistoryBatch, Kind, LocalizedText, Reading
from shared.domain.value_ranges import ValueRanges
from shared.store.recorder import Recorder

BERLIN = ZoneInfo("Europe/Berlin")
RANGES = ValueRanges({}, ((0.0, 1000.0), (0.0, 30.0)))
SENSOR = "001"
Minute = tuple[int, float | None, float | None]
"""Epoch seconds, flow rate, pressure."""


class StoredSite:
    """What db_writer has stored; `database` reads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "wvr.db"
        self.recorder = Recorder(self.path, BERLIN, (0, 1, 24, 168), RANGES)
        self.database = Database(self.path, BERLIN, "site1", RANGES)

    def close(self) -> None:
        self.database._close()
        self.recorder.close()

    def store(self, minutes: Iterable[Minute], sensor: str = SENSOR) -> None:
        """Store minutes of an import."""
        rows = tuple((datetime.fromtimestamp(at, BERLIN), flow_rate, pressure) for at, flow_rate, pressure in minutes)
        for start in range(0, len(rows), 5000):
            part = rows[start : start + 5000]
            batch = HistoryBatch(site="site1", sensor=sensor, source="import", part=1, of=1, minutes=part)
            self.recorder.write([batch])

    def store_doubted(self, minutes: Iterable[Minute], sensor: str = SENSOR) -> None:
        """Store readings whose time is not believed."""
        self.recorder.write(
            [
                Reading(
                    site="site1",
                    sensor=sensor,
                    at=datetime.fromtimestamp(at, BERLIN),
                    flow_rate=flow_rate,
                    pressure=pressure,
                    boot_id="boot",
                    seq=1,
                    source="file",
                    clock="doubted",
                )
                for at, flow_rate, pressure in minutes
            ]
        )

    def store_rows(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Store rows of any table as they are."""
        with sqlite3.connect(self.path) as database:
            for row in rows:
                database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        database.close()

    def store_anomaly(
        self,
        kind: Kind,
        opened: int,
        cleared: int | None,
        excess_m3h: float | None = None,
        lost_m3: float | None = None,
        anomaly_id: str = "a1",
    ) -> None:
        """Store the newest state of an anomaly that began when it opened."""
        opened_at = datetime.fromtimestamp(opened, BERLIN)
        cleared_at = None if cleared is None else datetime.fromtimestamp(cleared, BERLIN)
        self.recorder.write(
            [
                Anomaly(
                    site="site1",
                    sensor=SENSOR,
                    id=anomaly_id,
                    at=cleared_at or opened_at,
                    channels=("flow_rate",),
                    methods=("value",),
                    kind=kind,
                    trigger=kind,
                    state="opened" if cleared is None else "cleared",
                    acknowledged=False,
                    severity="warning",
                    opened_at=opened_at,
                    onset_at=opened_at,
                    cleared_at=cleared_at,
                    peak=None,
                    excess_m3h=excess_m3h,
                    lost_m3=lost_m3,
                    text=LocalizedText("유량 증가", "Flow is high"),
                )
            ]
        )


def epoch(text: str) -> int:
    """Return epoch seconds of a local time of the site."""
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())
