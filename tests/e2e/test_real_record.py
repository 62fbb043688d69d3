"""A real flow record of fourteen weeks, through a replay and through the live stack."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from cli.bootstrap import ROOT
from cli.export import main as export
from cli.replay import main as replay
from tests.e2e.conftest import in_docker
from tests.e2e.running_site import RunningSite
from tests.polling import wait_for

RECORD = ROOT.parent / "shared/data/gecco2018_flow_1min.csv.gz"
RECORD_READINGS = 279_132
"""Fourteen weeks of two sensors."""
WEEK_READINGS = 2 * 7 * 1440
TABLES = ("readings", "verdicts", "anomalies", "predictions", "night_flow", "criteria")
SITE = """
[site]
name = "real"
[ingest]
source = "file"
[training]
automatic = false
"""

pytestmark = pytest.mark.skipif(not RECORD.exists(), reason=f"the real record is not at {RECORD}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record, its first week, and a site.toml that follows files."""
    folder = tmp_path_factory.mktemp("record")
    with gzip.open(RECORD, "rt", encoding="ascii") as source:
        lines = source.readlines()
    (folder / "record.csv").write_text("".join(lines), encoding="ascii")
    (folder / "week.csv").write_text("".join(islice(lines, 1 + WEEK_READINGS)), encoding="ascii")
    (folder / "site.toml").write_text(SITE, encoding="ascii")
    return folder


@pytest.fixture(scope="module")
def replayed_week(folder: Path) -> Path:
    """The data folder of a replay of the first week."""
    return replay_into(folder, "week.csv", "once")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """The Compose stack with the same settings."""
    with in_docker(tmp_path_factory.mktemp("live"), SITE) as site:
        yield site


def replay_into(folder: Path, readings: str, name: str) -> Path:
    data = folder / name
    assert replay([str(folder / readings), "--data", str(data), "--site", str(folder / "site.toml")]) == 0
    return data


def exported(data: Path, table: str) -> bytes:
    out = data.parent / f"{data.name}-{table}.csv"
    assert export([table, "--data", str(data), "--out", str(out)]) == 0
    return out.read_bytes()


def minutes_of(text: str) -> Counter[tuple[str, str]]:
    """Return the number of lines of each (sensor, minute)."""
    cells = (line.split(",") for line in text.splitlines()[1:])
    return Counter((sensor, at.replace(" ", "T")[:16]) for at, sensor, *_ in cells)


def test_every_minute_of_the_record_is_stored_once_with_verdicts(folder: Path) -> None:
    """Takes a minute: the only replay of all fourteen weeks."""
    data = replay_into(folder, "record.csv", "complete")
    sent = minutes_of((folder / "record.csv").read_text(encoding="ascii"))
    for table, rows_per_minute in (("readings", 1), ("verdicts", 2)):
        rows = (line.split(",") for line in exported(data, table).decode().splitlines()[1:])
        stored = Counter((sensor, at[:16]) for _, sensor, at, *_ in rows)
        assert stored == dict.fromkeys(sent, rows_per_minute)
    assert sum(sent.values()) == RECORD_READINGS


def test_two_replays_give_the_same_bytes(folder: Path, replayed_week: Path) -> None:
    again = replay_into(folder, "week.csv", "again")
    for table in TABLES:
        assert exported(again, table) == exported(replayed_week, table), table


@pytest.mark.docker
def test_live_stack_gives_the_verdicts_of_the_replay(folder: Path, replayed_week: Path, live: RunningSite) -> None:
    process_live(live, folder / "week.csv", WEEK_READINGS)
    for table in ("readings", "verdicts"):
        assert exported(live.data, table) == exported(replayed_week, table)


@pytest.mark.docker
@pytest.mark.full
@pytest.mark.timeout(3600)
def test_live_stack_gives_the_verdicts_of_the_replay_of_the_whole_record(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Takes minutes: all fourteen weeks through the live stack."""
    replayed = replay_into(folder, "record.csv", "whole")
    with in_docker(tmp_path_factory.mktemp("whole"), SITE) as site:
        process_live(site, folder / "record.csv", RECORD_READINGS)
        for table in ("readings", "verdicts"):
            assert exported(site.data, table) == exported(replayed, table)


def process_live(site: RunningSite, readings: Path, reading_count: int) -> None:
    """Give a running site a file, and wait for a verdict of each reading."""

    def is_complete() -> bool:
        database = site.data / "wvr.db"
        if not database.exists():
            return False
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            verdicts: int = connection.execute("SELECT count(*) FROM OUTLIER_VAL_TB").fetchone()[0]
        return verdicts == reading_count

    shutil.copy(readings, site.data / "sensor/readings.csv")
    wait_for(is_complete, 1800, "a verdict for each reading")
