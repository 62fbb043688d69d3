"""Draws one incident: what was measured and expected, when it began, was reported and ended. Needs matplotlib."""

from __future__ import annotations

import time
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from services.dashboard.queries.database import Database
from services.dashboard.queries.expected import read_expected
from services.dashboard.queries.incidents import Incident, chart_ends
from services.dashboard.queries.site_time import DAY, wall_seconds
from services.dashboard.queries.spans import Span, read_span
from shared.contract.messages import CHANNELS, Channel

AXIS_NAMES: dict[Channel, str] = {"flow_rate": "flow rate, m³/h", "pressure": "pressure, bar"}
SIZE_INCHES = (11.0, 6.5)
DOTS_PER_INCH = 110


def write_plot(database: Database, incident: Incident, file: Path) -> None:
    """Write a PNG of an incident, in the site's time. Raises Unavailable, OSError."""
    start, stop = chart_ends(incident, int(time.time()))
    span = read_span(database, incident.sensor, start, stop)
    channels = [channel for channel in CHANNELS if _has_values(span, channel)] or ["flow_rate"]
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    for index, channel in enumerate(channels):
        axes = figure.add_subplot(len(channels), 1, index + 1)
        _draw_channel(axes, database, incident, span, channel)
    figure.suptitle(f"{incident.sensor}: {incident.label.en}, {incident.severity}, {incident.phase}")
    figure.savefig(file, dpi=DOTS_PER_INCH)


def _draw_channel(axes: Axes, database: Database, incident: Incident, span: Span, channel: Channel) -> None:
    column = 2 + 3 * CHANNELS.index(channel)
    zone = database.zone
    expected = read_expected(database, incident.sensor, channel, span.start, span.stop)
    limited = [point for point in expected if point.low is not None and point.high is not None]
    if limited:
        times = [_days(point.wall_at) for point in limited]
        low, high = ([getattr(point, side) for point in limited] for side in ("low", "high"))
        axes.fill_between(times, low, high, color="0.85", label="usual")
    axes.plot([_days(point.wall_at) for point in expected], [point.expected for point in expected], "--", color="0.5")
    measured = [bucket for bucket in span.buckets if bucket[column] is not None]
    times = [_days(wall_seconds(bucket[0], zone)) for bucket in measured]
    axes.plot(
        times, [float(bucket[column] or 0.0) for bucket in measured], color="tab:blue", linewidth=1, label="measured"
    )
    moments = (("began", incident.onset_at, ":"), ("reported", incident.opened_at, "-"))
    for name, at, style in moments:
        axes.axvline(_days(wall_seconds(at, zone)), color="tab:red", linestyle=style, label=name)
    if incident.state == "cleared" and incident.cleared_at is not None:
        axes.axvline(_days(wall_seconds(incident.cleared_at, zone)), color="tab:green", label="cleared")
    axes.xaxis_date()
    axes.set_ylabel(AXIS_NAMES[channel])
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize="small")


def _has_values(span: Span, channel: Channel) -> bool:
    column = 2 + 3 * CHANNELS.index(channel)
    return any(bucket[column] is not None for bucket in span.buckets)


def _days(wall: int) -> float:
    """Return the site's wall clock as matplotlib's dates: days since 1970."""
    return wall / DAY
