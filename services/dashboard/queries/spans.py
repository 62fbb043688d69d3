"""A span of readings in at most about 1,200 buckets, with the exact minimum and maximum of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.dashboard.queries.database import USABLE_MINUTES, Database
from services.dashboard.queries.site_time import DAY, HOUR, MINUTE

MAX_BUCKETS = 1200
MAX_SPAN_SECONDS = 11 * 366 * DAY
"""Eleven years: more than the longest retention."""
MINUTES_UP_TO_SECONDS = 3 * DAY
"""A span of three days or less shows the minutes themselves."""
STEPS = (
    *(minutes * MINUTE for minutes in (2, 3, 5, 10, 15, 20, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12, 24, 48, 96)),
)
"""Lengths of a bucket, seconds."""

Bucket = tuple[int, float | None, float | None, float | None, float | None, float | None, float | None]
"""Start (epoch seconds), then minimum, mean and maximum of flow rate (m³/h) and of pressure (bar)."""

_MINUTES_SQL = f"""SELECT at, flow_rate, flow_rate, flow_rate, pressure, pressure, pressure
    FROM {USABLE_MINUTES} ORDER BY at"""
_BUCKETS_SQL = f"""SELECT at - (at + ?10) % ?9, min(flow_rate), avg(flow_rate), max(flow_rate),
    min(pressure), avg(pressure), max(pressure) FROM {USABLE_MINUTES} GROUP BY 1 ORDER BY 1"""
_HOURLY_SQL = """SELECT at - (at + ?6) % ?5,
    min(flow_rate_min), sum(flow_rate_mean * minutes) / sum(CASE WHEN flow_rate_mean IS NOT NULL THEN minutes END),
    max(flow_rate_max),
    min(pressure_min), sum(pressure_mean * minutes) / sum(CASE WHEN pressure_mean IS NOT NULL THEN minutes END),
    max(pressure_max)
    FROM HOURLY_VAL_TB WHERE site = ?1 AND sensor = ?2 AND at >= ?3 AND at < ?4 GROUP BY 1 ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Span:
    """Readings of one sensor in [start, stop), epoch seconds."""

    start: int
    stop: int
    step: int
    """Length of a bucket, seconds; 60: the minutes themselves."""
    buckets: list[Bucket]
    """In order of time; a bucket without a reading is absent."""


def read_span(database: Database, sensor: str, start: int, stop: int, shortest: int = MINUTE) -> Span:
    """Return the readings of a span, widened to whole buckets of at least `shortest` seconds, one of STEPS.

    Buckets of an hour and more come from the hourly values, which db_writer updates with each minute: minimum and
    maximum are exact, and so is the mean unless minutes of a bucket lack the value. Where the minutes are no longer
    stored, no bucket is shorter than an hour. Raises Unavailable, ValueError.
    """
    if not 0 < stop - start <= MAX_SPAN_SECONDS:
        raise ValueError("a span is longer than a minute and shorter than eleven years")
    step = max(shortest, step_of(stop - start))
    if step < HOUR and database.has_lost_minutes(sensor, start, stop):
        step = HOUR
    offset = datetime.fromtimestamp(start, database.zone).utcoffset()
    shift = int(offset.total_seconds()) // HOUR * HOUR if offset else 0
    first = start - (start + shift) % step
    last = stop + (-stop - shift) % step
    if step >= HOUR:
        rows = database.rows(_HOURLY_SQL, sensor, first, last, step, shift)
    elif step > MINUTE:
        rows = database.rows(_BUCKETS_SQL, *database.usable_minutes(sensor, first, last), step, shift)
    else:
        rows = database.rows(_MINUTES_SQL, *database.usable_minutes(sensor, first, last))
    return Span(first, last, step, rows)


def step_of(seconds: int) -> int:
    """Return the length of a bucket for a span of this length."""
    if seconds <= MINUTES_UP_TO_SECONDS:
        return MINUTE
    return next((step for step in STEPS if seconds <= step * MAX_BUCKETS), STEPS[-1])
