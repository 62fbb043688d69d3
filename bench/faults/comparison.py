"""What came of a campaign, against an undisturbed replay of the same readings."""

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
    """One table, or the outbox."""

    name: str
    expected: int
    """Rows, or blocks, of the undisturbed run."""
    missing: int
    differ: int
    """Of another content, or in excess."""
    first: str = ""
    """The first of those, for a person."""

    @property
    def equal(self) -> bool:
        return not (self.missing or self.differ)


def compare(data: Path, reference: Path, last: datetime, folder: Path) -> Iterator[TableComparison]:
    """All exports, and the blocks of the last days; `last` is the newest reading, folder takes the exports."""
    for table in TABLES:
        wanted, found = (_rows(one, table, last, folder) for one in (reference, data))
        yield _compare(table, wanted, found)
    since = f"server-{datetime.now(ZONE) - timedelta(days=6, hours=20):%Y%m%dT%H%M}.txt"
    yield _compare("outbox", *(_blocks(one, since) for one in (reference, data)))


def _compare(name: str, wanted: dict[str, str], found: dict[str, str]) -> TableComparison:
    missing = sorted(wanted.keys() - found.keys())
    other = sorted(key for key, text in found.items() if wanted.get(key) != text)
    first = [_difference(key, found.get(key, ""), wanted.get(key, "")) for key in (*missing, *other)][:1]
    return TableComparison(name, len(wanted), len(missing), len(other), *first)


def _difference(key: str, found: str, wanted: str) -> str:
    place = next((place for place, two in enumerate(zip(found, wanted, strict=False)) if two[0] != two[1]), 0)
    near = slice(max(0, place - 80), place + 40)
    return f"{key}: at character {place} …{found[near]!r}… instead of …{wanted[near]!r}…"


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
