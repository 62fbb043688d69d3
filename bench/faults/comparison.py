"""Comparison of a campaign's output with an undisturbed replay of the same readings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bench.speed.records import ZONE
from shared.store.export import export

TABLES = ("readings", "verdicts", "anomalies", "predictions", "scores", "night_flow", "criteria")


@dataclass(frozen=True)
class TableComparison:
    """The comparison of one table, or of the outbox."""

    name: str
    expected: int
    """Rows, or blocks, of the undisturbed run."""
    missing: int
    differ: int
    """Rows with other content, or in excess."""
    first_difference: str = ""
    """For people."""

    @property
    def is_equal(self) -> bool:
        return not (self.missing or self.differ)


def compare(data: Path, reference: Path, last: datetime, folder: Path) -> Iterator[TableComparison]:
    """Yield the comparisons of all exports and of the last days' blocks; `last` is the newest reading's time."""
    for table in TABLES:
        expected, actual = (_rows(run, table, last, folder) for run in (reference, data))
        yield _compare(table, expected, actual)
    since = f"server-{datetime.now(ZONE) - timedelta(days=6, hours=20):%Y%m%dT%H%M}.txt"
    yield _compare("outbox", *(_blocks(run, since) for run in (reference, data)))


def _compare(name: str, expected: dict[str, str], actual: dict[str, str]) -> TableComparison:
    missing = sorted(expected.keys() - actual.keys())
    other = sorted(key for key, text in actual.items() if expected.get(key) != text)
    differences = [_difference(key, actual.get(key, ""), expected.get(key, "")) for key in (*missing, *other)][:1]
    return TableComparison(name, len(expected), len(missing), len(other), *differences)


def _difference(key: str, actual: str, expected: str) -> str:
    position = next(
        (position for position, pair in enumerate(zip(actual, expected, strict=False)) if pair[0] != pair[1]), 0
    )
    near = slice(max(0, position - 80), position + 40)
    return f"{key}: at character {position} …{actual[near]!r}… instead of …{expected[near]!r}…"


def _rows(data: Path, table: str, last: datetime, folder: Path) -> dict[str, str]:
    """Return rows by key; of predictions those which both runs keep.

    Predictions: issued up to the last reading, at the stored horizons. Scores: of the hours before it, since a replay
    ends with its last reading.
    """
    out = folder / "export.csv"
    export(data / "wvr.db", table, out)
    lines = out.read_text(encoding="utf-8").splitlines()[1:]
    if table == "predictions":
        return {line.rsplit(",", 4)[0]: line for line in lines if _is_kept(line, last)}
    if table == "scores":
        lines = [line for line in lines if datetime.fromisoformat(line.split(",")[3]) <= last - timedelta(hours=1)]
    width = {"scores": 5, "readings": 3, "verdicts": 4, "anomalies": 1, "night_flow": 3, "criteria": 3}[table]
    return {",".join(line.split(",")[:width]): line for line in lines}


def _is_kept(line: str, last: datetime) -> bool:
    issued, at = (datetime.fromisoformat(text) for text in line.split(",")[3:5])
    hours = (at - issued) / timedelta(hours=1)
    return issued <= last and (hours <= 1 or hours % 24 == 0)


def _blocks(data: Path, since: str) -> dict[str, str]:
    blocks = (data / "sensor/outbox").glob("server-*.txt")
    return {path.name: path.read_text(encoding="utf-8") for path in blocks if path.name > since}
