"""Rows of a chart's series: milliseconds of the site's wall clock and values; None breaks a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from services.dashboard.queries.expected import ExpectedPoint
from services.dashboard.queries.forecasts import ForecastHour
from services.dashboard.queries.site_time import HOUR, MINUTE, wall_seconds
from services.dashboard.queries.spans import Bucket, Span
from shared.contract.messages import CHANNELS, Channel

BREAK_STEPS = 2.5
"""A line breaks where values are absent for longer than this many usual distances."""
QUARTER_HOUR = 900
"""All offsets of time zones change at such a time."""
Rows = list[list[float | None]]


class WallClock:
    """Epoch seconds to milliseconds of the site's wall clock; each offset is looked up once."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[int, int] = {}

    def milliseconds(self, at: int) -> int:
        """Return an instant as the site's clocks show it: read as UTC, it is the local time."""
        slot = at // QUARTER_HOUR
        if slot not in self._offsets:
            self._offsets[slot] = wall_seconds(slot * QUARTER_HOUR, self._zone) - slot * QUARTER_HOUR
        return (at + self._offsets[slot]) * 1000


def mean_rows(span: Span, channel: Channel, wall: WallClock, shift: int = 0) -> Rows:
    """Return (time, mean) of each bucket at its middle; `shift`, milliseconds, lays two spans over each other."""
    column = 2 + 3 * CHANNELS.index(channel)
    rows: Rows = []
    for middle, bucket in _with_breaks(span, column):
        value = None if bucket is None else _rounded(bucket[column])
        rows.append([wall.milliseconds(middle) + shift, value])
    return rows


def envelope_rows(span: Span, channel: Channel, wall: WallClock) -> Rows:
    """Return (time, minimum, maximum) of each bucket at its middle; the extremes are exact."""
    column = 2 + 3 * CHANNELS.index(channel)
    return [
        [wall.milliseconds(middle), *((None, None) if bucket is None else (bucket[column - 1], bucket[column + 1]))]
        for middle, bucket in _with_breaks(span, column)
    ]


def forecast_rows(hours: Iterable[ForecastHour], wall: WallClock) -> tuple[Rows, Rows]:
    """Return (time, p50) and (time, p10, p90) of each hour at its middle."""
    rows = [(wall.milliseconds(hour.at + HOUR // 2), hour) for hour in hours]
    medians: Rows = [[at, _rounded(hour.p50)] for at, hour in rows]
    return medians, [[at, _rounded(hour.p10), _rounded(hour.p90)] for at, hour in rows]


def expected_rows(points: Iterable[ExpectedPoint]) -> tuple[Rows, Rows]:
    """Return (time, expected) and (time, low, high) of each ten minutes."""
    rows = [(point.wall_at * 1000, point) for point in points]
    expected: Rows = [[at, _rounded(point.expected)] for at, point in rows]
    return expected, [[at, _rounded(point.low), _rounded(point.high)] for at, point in rows]


def _with_breaks(span: Span, column: int) -> Iterable[tuple[int, Bucket | None]]:
    """Yield the middle of each bucket that has the value, and None where a line breaks."""
    buckets = [bucket for bucket in span.buckets if bucket[column] is not None]
    half = span.step // 2 if span.step > MINUTE else 0
    longest = usual_distance([bucket[0] for bucket in buckets], span.step) * BREAK_STEPS
    before = None
    for bucket in buckets:
        if before is not None and bucket[0] - before > longest:
            yield before + span.step + half, None
        yield bucket[0] + half, bucket
        before = bucket[0]


def usual_distance(times: Sequence[int], step: int) -> float:
    """Return the usual seconds between two values; a slow meter gives fewer than one a bucket."""
    distances = [later - earlier for earlier, later in pairwise(times)]
    return max(step, median(distances)) if distances else step


def _rounded(value: float | None) -> float | None:
    """Return six digits of a computed value."""
    return None if value is None else float(f"{value:.6g}")
