"""`python -m bench.dashboard.year`: time and size of a year of minutes of both channels, as History opens it."""

from __future__ import annotations

import gzip
import json
import math
import random
import sqlite3
import tempfile
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.table import publish
from services.dashboard.queries.chart_lines import WallClock, envelope_rows, mean_rows
from services.dashboard.queries.database import Database
from services.dashboard.queries.site_time import DAY, HOUR, MINUTE
from services.dashboard.queries.spans import Span, read_span
from shared.contract.messages import CHANNELS
from shared.domain.value_ranges import ValueRanges
from shared.store.recorder import Recorder

SEOUL = ZoneInfo("Asia/Seoul")
STOP = int(datetime(2026, 11, 1, 9, 37, tzinfo=SEOUL).timestamp())
YEAR_DAYS = 365
SPAN_DAYS = (YEAR_DAYS, 60, 30, 7, 3, 1)
RANGES = ValueRanges({}, ((0.0, 1e6), (0.0, 1e6)))
REPEATS = 5
"""The median of so many runs counts."""


def make_year(path: Path) -> None:
    """Write a year of minutes of both channels, with the hourly values that db_writer computes."""
    Recorder(path, SEOUL, (0, 24, 168), RANGES).close()
    draws = random.Random(1)
    start = STOP - YEAR_DAYS * DAY
    rows = (
        (
            "site1",
            "001",
            start + minute * MINUTE,
            round(60 + 25 * math.sin(minute / 229.2) + draws.gauss(0, 2), 2),
            round(4 - 0.3 * math.sin(minute / 229.2) + draws.gauss(0, 0.02), 3),
        )
        for minute in range(YEAR_DAYS * 1440 + 1)
    )
    with sqlite3.connect(path) as database:
        database.executemany("INSERT INTO REAL_VAL_TB VALUES (?, ?, ?, ?, ?, 'file', 'ok')", rows)
        database.execute(
            f"""INSERT INTO HOURLY_VAL_TB SELECT site, sensor, at - at % {HOUR}, count(*), min(flow_rate),
            avg(flow_rate), max(flow_rate), min(pressure), avg(pressure), max(pressure)
            FROM REAL_VAL_TB GROUP BY site, sensor, at - at % {HOUR}"""
        )
    database.close()


def open_span(path: Path, days: int) -> tuple[float, Span, bytes]:
    """Return seconds, the span and the compressed answer, with a connection of its own as in a request."""
    began = time.perf_counter()
    with Database(path, SEOUL, "site1", RANGES).opened() as database:
        span = read_span(database, "001", STOP - days * DAY, STOP)
    wall = WallClock(SEOUL)
    rows = [mean_rows(span, channel, wall) for channel in CHANNELS]
    if span.step > MINUTE:
        rows += [envelope_rows(span, channel, wall) for channel in CHANNELS]
    answer = gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), 6)
    return time.perf_counter() - began, span, answer


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wvr.db"
        make_year(path)
        rows = []
        for days in SPAN_DAYS:
            runs = sorted((open_span(path, days) for _ in range(REPEATS)), key=lambda run: run[0])
            seconds, span, answer = runs[REPEATS // 2]
            figures = (days, span.step // MINUTE, len(span.buckets), f"{seconds:.3f}", f"{len(answer) / 1000:.1f}")
            rows.append([str(figure) for figure in figures])
    title = "Opening a span in the dashboard"
    command = "python -m bench.dashboard.year"
    header = ("days", "minutes a bucket", "buckets", "s", "kB compressed")
    publish(
        "dashboard",
        title,
        command,
        header,
        rows,
        "\nA year of 525,601 minutes of both channels; required: 1 s, 100 kB.\n",
    )


if __name__ == "__main__":
    main()
