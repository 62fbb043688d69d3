"""A local site that follows a file: minutes arrive as fast as a test writes them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.conftest import free_port
from tests.e2e.running_site import Listener, RunningSite
from tests.polling import wait_for

SITE_TOML = '[site]\nname = "test"\n[ingest]\nsource = "file"\n[training]\nautomatic = false\n'
START = datetime.now(ZoneInfo("Asia/Seoul")).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
"""In the future, so that no lines for minutes without a reading come first."""


class FedSite:
    """A running site, the lines that its logger has written, and what WVR has made of them."""

    def __init__(self, site: RunningSite) -> None:
        self.site = site
        self.minute_count = 0

    def feed(self, minutes: int) -> None:
        """Append minutes to the followed file, as a logger does."""
        numbers = range(self.minute_count, self.minute_count + minutes)
        with (self.site.data / "sensor/live.csv").open("a", encoding="ascii") as file:
            file.writelines(f"{minute(number):%Y-%m-%d %H:%M},001,{flow_rate(number)},4.0\n" for number in numbers)
            file.flush()
            os.fsync(file.fileno())
        self.minute_count += minutes

    def wait_until_all_is_stored(self, seconds: float = 60.0) -> None:
        """Wait until every minute is stored once and has a verdict."""
        wait_for(
            lambda: self.counts() == (self.minute_count, self.minute_count),
            seconds,
            f"{self.minute_count} minutes are stored with verdicts",
        )

    def wait_for_alert(self) -> None:
        """Wait until alert.txt shows the newest minute."""
        newest = minute(self.minute_count - 1).replace(tzinfo=None)
        wait_for(lambda: self.site.alert_minute() == newest, 30, f"alert.txt shows {newest}")

    def counts(self) -> tuple[int, int]:
        """Return the numbers of stored readings and verdicts."""
        tables = "(SELECT count(*) FROM REAL_VAL_TB), (SELECT count(*) FROM OUTLIER_VAL_TB)"
        ((readings, verdicts),) = self.rows(f"SELECT {tables}")
        return int(readings), int(verdicts)

    def rows(self, sql: str) -> list[tuple[int | str, ...]]:
        """Return the rows of a query; repeat it while the database is being replaced."""

        def query() -> list[tuple[int | str, ...]]:
            path = f"file:{self.site.data}/wvr.db?mode=ro"
            try:
                with closing(sqlite3.connect(path, uri=True, timeout=10)) as database:
                    return database.execute(sql).fetchall()
            except sqlite3.DatabaseError:
                return []

        return wait_for(query, 60, "the database can be read")

    def values(self) -> list[tuple[int | str, ...]]:
        """Return the stored times (Unix seconds) and flow rates, in order of time."""
        return self.rows("SELECT at, flow_rate FROM REAL_VAL_TB ORDER BY at")

    def expected(self) -> list[tuple[int, float]]:
        """Return what `values` must return."""
        return [(int(minute(number).timestamp()), flow_rate(number)) for number in range(self.minute_count)]

    def blocks(self) -> list[str]:
        """Return the texts in the outbox, oldest first."""
        paths = sorted((self.site.data / "sensor/outbox").glob("server-*.txt"))
        return [path.read_text(encoding="utf-8") for path in paths]


@contextmanager
def local_fed_site(folder: Path, minutes: int, site_toml: str = SITE_TOML) -> Iterator[FedSite]:
    """Start a local site that follows a file, with so many minutes stored."""
    site = RunningSite.create(folder, free_port(), site_toml)
    try:
        started = site.wvr("up", "--local")
        assert started.returncode == 0, started.stdout + started.stderr
        fed = FedSite(site)
        fed.feed(minutes)
        fed.wait_until_all_is_stored()
        yield fed
    finally:
        site.wvr("down")


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def flow_rate(number: int) -> float:
    """Return m³/h, different for neighbouring minutes."""
    return round(60 + number * 7919 % 1009 / 100, 2)


def notes(viewer: Listener, service: str) -> list[str]:
    """Return the English notes of a service's status messages so far."""
    return [status["note"]["en"] for status in viewer.messages(f"service/{service}") if status["note"]["en"]]
