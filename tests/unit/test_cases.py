"""Golden cases: readings of a known site, and the anomalies that they open and clear. See tests/cases/README.md."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from shared.contract.messages import Anomaly, Message, Reading, Tick
from shared.settings import Settings, load_settings
from tests.unit.services.detector.fakes import MINUTE, LearnedDetector, anomalies
from tests.unit.services.detector.synthetic_site import DAY, KST, MONDAY, SHAPES, SyntheticSite, make_site

CASES = Path(__file__).parents[1] / "cases"
COLUMNS = ["sensor", "trigger", "kind", "channels", "severity", "opened_at", "cleared_at"]
UPDATE = bool(os.environ.get("WVR_UPDATE_CASES"))
DAYS = 75
LEARNED = 58 * DAY + 1
"""Minutes of the known site before the readings of a case."""
NORMAL = re.compile(r"normal(?:([-+*])([0-9.]+))?")


@cache
def known_site() -> SyntheticSite:
    return make_site(SHAPES["homes"], DAYS, seed=13)


@cache
def learned(settings: str) -> LearnedDetector:
    """Return a detector that has learned the known site; settings: JSON, as settings cannot be hashed."""
    return LearnedDetector(known_site().series(0, LEARNED), Settings.model_validate_json(settings))


def value_of(cell: str, normal: float) -> float | None:
    """Return the value of a cell: empty, a number, or `normal` with a sum or product."""
    if not cell:
        return None
    if not (match := NORMAL.fullmatch(cell)):
        return float(cell)
    operator, number = match[1], float(match[2] or 0.0)
    return {None: normal, "+": normal + number, "-": normal - number, "*": normal * number}[operator]


def read_lines(path: Path) -> list[tuple[datetime, str, str, str]]:
    """Return (at, sensor, flow_rate, pressure) of each line."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (datetime.fromisoformat(row["at"]).replace(tzinfo=KST), row["sensor"], row["flow_rate"], row["pressure"])
        for row in rows
    ]


def minutes_of(path: Path, site: str) -> Iterator[Reading | None]:
    """Yield a reading for each minute, or None where no line arrives.

    Before the first line the site is normal. A line applies until the time of the next one; at least for its minute.
    """
    lines = read_lines(path)
    begin = MONDAY + LEARNED * MINUTE
    lines.insert(0, (begin, lines[0][1], "normal", "normal"))
    ends = [at for at, *_ in lines[1:]] + [lines[-1][0]]
    synthetic, seq = known_site(), 0
    for (first, sensor, flow, pressure), end in zip(lines, ends, strict=True):
        for number in range(max(int((end - first) / MINUTE), 1)):
            at = first + number * MINUTE
            index = int((at - MONDAY) / MINUTE)
            if flow == "silent":
                yield None
                continue
            yield Reading(
                site=site,
                sensor=sensor,
                at=at,
                flow_rate=value_of(flow, float(synthetic.flow[index])),
                pressure=value_of(pressure, float(synthetic.pressure[index])),
                boot_id="case",
                seq=seq,
                source="case",
            )
            seq += 1


def run_case(folder: Path) -> list[Anomaly]:
    """Return the last state of each anomaly, in order of opening."""
    settings = load_settings(folder / "site.toml")
    detector, forecaster = learned(settings.model_dump_json()).copy()
    messages: list[Message] = []
    hour, now = None, MONDAY + LEARNED * MINUTE
    for reading in minutes_of(folder / "readings.csv", settings.site.name):
        if reading is not None:
            if reading.at.replace(minute=0) != hour:
                hour = reading.at.replace(minute=0)
                messages += detector.handle(forecaster.forecast_for(reading))
            messages += detector.handle(reading)
            forecaster.observe(reading)
        messages += detector.handle(Tick(settings.site.name, now))
        now += timedelta(minutes=1)
    return list({anomaly.id: anomaly for anomaly in anomalies(messages)}.values())


def row_of(anomaly: Anomaly) -> list[str]:
    times = (f"{at:%Y-%m-%dT%H:%M}" if at else "" for at in (anomaly.opened_at, anomaly.cleared_at))
    channels = " ".join(anomaly.channels)
    return [anomaly.sensor, anomaly.trigger, anomaly.kind, channels, anomaly.severity, *times]


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in CASES.glob("*/site.toml")), ids=lambda path: path.name
)
def test_case_opens_and_clears_its_alarms(folder: Path) -> None:
    rows = [row_of(anomaly) for anomaly in run_case(folder)]
    if UPDATE:
        with (folder / "alarms.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    with (folder / "alarms.csv").open(encoding="utf-8", newline="") as file:
        assert [COLUMNS, *rows] == list(csv.reader(file))


def test_value_of_a_cell() -> None:
    cells = {"": None, "7.5": 7.5, "-3": -3.0, "normal": 4.0, "normal+2": 6.0, "normal-0.5": 3.5, "normal*100": 400.0}
    assert {cell: value_of(cell, 4.0) for cell in cells} == cells
