"""Months of a real flow record, through a replay and through the live stack."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.bootstrap import ROOT
from cli.export import main as export
from cli.replay import main as replay
from tests.e2e.conftest import in_docker
from tests.e2e.running_site import RunningSite
from tests.polling import wait_for

RECORD = ROOT.parent / "shared/data/gecco2018_flow_1min.csv.gz"
LINES = 279_132
"""Fourteen weeks of two sensors."""
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
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record, unpacked, and a site.toml that follows files."""
    folder = tmp_path_factory.mktemp("record")
    with gzip.open(RECORD, "rt", encoding="ascii") as source:
        (folder / "readings.csv").write_text(source.read(), encoding="ascii")
    (folder / "site.toml").write_text(SITE, encoding="ascii")
    return folder


@pytest.fixture(scope="module")
def replayed(record: Path) -> Path:
    """What a replay leaves."""
    return replay_into(record, "once")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """The Compose stack with the same settings."""
    with in_docker(tmp_path_factory.mktemp("live"), SITE) as site:
        yield site


def replay_into(record: Path, name: str) -> Path:
    data = record / name
    arguments = ["--data", str(data), "--site", str(record / "site.toml")]
    assert replay([str(record / "readings.csv"), *arguments]) == 0
    return data


def exported(data: Path, table: str) -> bytes:
    out = data.parent / f"{data.name}-{table}.csv"
    assert export([table, "--data", str(data), "--out", str(out)]) == 0
    return out.read_bytes()


def minutes(text: str) -> Counter[tuple[str, str]]:
    """(sensor, minute) of each line."""
    cells = (line.split(",") for line in text.splitlines()[1:])
    return Counter((sensor, at.replace(" ", "T")[:16]) for at, sensor, *_ in cells)


def test_every_minute_is_stored_and_judged_once(record: Path, replayed: Path) -> None:
    sent = minutes((record / "readings.csv").read_text(encoding="ascii"))
    for table, lines in (("readings", 1), ("verdicts", 2)):
        rows = (line.split(",") for line in exported(replayed, table).decode().splitlines()[1:])
        kept = Counter((sensor, at[:16]) for _, sensor, at, *_ in rows)
        assert kept == dict.fromkeys(sent, lines)
    assert sum(sent.values()) == LINES


@pytest.mark.parametrize("table", ["readings", "verdicts", "anomalies", "predictions", "night_flow", "criteria"])
def test_replaying_twice_gives_the_same_bytes(record: Path, replayed: Path, table: str) -> None:
    again = record / "again"
    if not (again / "wvr.db").exists():
        replay_into(record, "again")
    assert exported(again, table) == exported(replayed, table)


@pytest.mark.docker
def test_the_live_stack_says_the_same_as_the_replay(record: Path, replayed: Path, live: RunningSite) -> None:
    def judged() -> bool:
        database = live.data / "wvr.db"
        if not database.exists():
            return False
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            found: int = connection.execute("SELECT count(*) FROM OUTLIER_VAL_TB").fetchone()[0]
        return found == LINES

    folder = live.data / "sensor"
    shutil.copy(record / "readings.csv", folder / "readings.csv")
    wait_for(judged, 600, "a verdict for each reading")
    for table in ("readings", "verdicts"):
        assert exported(live.data, table) == exported(replayed, table)
