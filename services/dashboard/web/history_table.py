"""The same as the chart of History in words and a table, for those who can't see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.dashboard.queries.site_time import DAY
from services.dashboard.queries.spans import Span
from shared.contract.messages import CHANNELS, Channel

Statistics = tuple[float, float, float]
"""Minimum, mean, maximum."""


@dataclass(frozen=True)
class TableRow:
    """One hour, day or month."""

    label: str
    flow_rate: Statistics | None
    pressure: Statistics | None


def table_rows(span: Span, zone: ZoneInfo) -> list[TableRow]:
    """Return a row for each hour of up to two days, each day of up to two months, else each month."""
    length = span.stop - span.start
    form = "%Y-%m-%d %H:00" if length <= 2 * DAY else "%Y-%m-%d" if length <= 63 * DAY else "%Y-%m"
    groups: dict[str, Span] = {}
    for bucket in span.buckets:
        label = datetime.fromtimestamp(bucket[0], zone).strftime(form)
        groups.setdefault(label, Span(0, 0, span.step, [])).buckets.append(bucket)
    return [TableRow(label, *(statistics(group, channel) for channel in CHANNELS)) for label, group in groups.items()]


def statistics(span: Span, channel: Channel) -> Statistics | None:
    """Return minimum, mean of the buckets and maximum of a channel; None without a value."""
    first = 1 + 3 * CHANNELS.index(channel)
    values = [bucket[first : first + 3] for bucket in span.buckets if bucket[first + 1] is not None]
    if not values:
        return None
    means = [mean for _, mean, _ in values if mean is not None]
    lows, highs = ([row[index] or 0.0 for row in values] for index in (0, 2))
    return min(lows), sum(means) / len(means), max(highs)
