"""A local site that follows a file: its minutes come as fast as a test writes them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.e2e.running_site import Listener, RunningSite
from tests.polling import wait_for

SITE_TOML = '[site]\nname = "test"\n[ingest]\nsource = "file"\n[training]\nautomatic = false\n'
START = datetime.now(ZoneInfo("Asia/Seoul")).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
"""Minutes to come, so that no line for a minute without a reading goes before them."""


class FedSite:
    """What a logger writes for it, and what has become of that."""

    def __init__(self, site: RunningSite) -> None:
        self.site = site
        self.fed = 0

    def feed(self, minutes: int) -> None:
        """Appends as a logger does."""
        numbers = range(self.fed, self.fed + minutes)
        with (self.site.data / "sensor/live.csv").open("a", encoding="ascii") as file:
            file.writelines(f"{minute(number):%Y-%m-%d %H:%M},001,{flow_rate(number)},4.0\n" for number in numbers)
            file.flush()
            os.fsync(file.fileno())
        self.fed += minutes

    def wait_until_all_is_stored(self, seconds: float = 60.0) -> None:
        """Every minute once, and judged."""
        wait_for(lambda: self.counts() == (self.fed, self.fed), seconds, f"{self.fed} minutes are stored and judged")

    def wait_for_alert(self) -> None:
        """alert.txt tells of the newest minute."""
        newest = minute(self.fed - 1).replace(tzinfo=None)
        wait_for(lambda: self.site.alert_minute() == newest, 30, f"alert.txt tells of {newest}")

    def counts(self) -> tuple[int, int]:
        """Stored readings and verdicts."""
        tables = "(SELECT count(*) FROM REAL_VAL_TB), (SELECT count(*) FROM OUTLIER_VAL_TB)"
        ((readings, verdicts),) = self.rows(f"SELECT {tables}")
        return int(readings), int(verdicts)

    def rows(self, sql: str) -> list[tuple[int | str, ...]]:
        """What is stored now; a database that is being replaced is asked again."""

        def ask() -> list[tuple[int | str, ...]]:
            path = f"file:{self.site.data}/wvr.db?mode=ro"
            try:
                with closing(sqlite3.connect(path, uri=True, timeout=10)) as database:
                    return database.execute(sql).fetchall()
            except sqlite3.DatabaseError:
                return []

        return wait_for(ask, 60, "the database can be read")

    def values(self) -> list[tuple[int | str, ...]]:
        """Minute and flow rate in order of time, as they are stored."""
        return self.rows("SELECT at, flow_rate FROM REAL_VAL_TB ORDER BY at")

    def expected(self) -> list[tuple[int, float]]:
        """What `values` must be."""
        return [(int(minute(number).timestamp()), flow_rate(number)) for number in range(self.fed)]

    def blocks(self) -> list[str]:
        """Texts in the outbox, oldest first."""
        paths = sorted((self.site.data / "sensor/outbox").glob("server-*.txt"))
        return [path.read_text(encoding="utf-8") for path in paths]


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def flow_rate(number: int) -> float:
    """Hard to mistake for another's, m³/h."""
    return round(60 + number * 7919 % 1009 / 100, 2)


def notes(viewer: Listener, service: str) -> list[str]:
    """What a service's status has said."""
    return [message["note"]["en"] for message in viewer.messages(f"service/{service}") if message["note"]["en"]]
