"""The chart of the nights: minimum night flow with what is usual and the criterion, and the excess below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.dashboard.queries.chart_lines import Rows, WallClock
from services.dashboard.queries.events import WATER_KINDS, read_events
from services.dashboard.queries.nights import Night
from services.dashboard.queries.site_time import DAY
from services.dashboard.web.chart_data import Chart, Panel, Series
from services.dashboard.web.event_marks import event_marks
from services.dashboard.web.formats import FLOW_UNIT
from services.dashboard.web.stored import StoredPage

BREAK_SECONDS = 1.5 * DAY
"""A night without a value breaks a line."""


def night_chart(stored: StoredPage, nights: Sequence[Night], start: int, stop: int) -> Chart:
    """Return the chart of [start, stop), epoch seconds. Raises Unavailable."""
    page, night_use = stored.page, stored.page.settings.dma.night_use_m3h
    wall = WallClock(stored.database.zone)
    start = max(start, nights[0].at - DAY) if nights else start

    def line(value: Callable[[Night], float | None]) -> Rows:
        return night_rows(nights, value, wall)

    minimum = [
        Series(page.text("nights.criterion"), "limit", line(lambda night: night.criterion_m3h)),
        Series(page.text("nights.usual"), "usual", line(lambda night: night.usual_m3h)),
        Series(page.text("nights.minimum"), "measured", line(lambda night: night.minimum_m3h)),
        Series(page.text("nights.abnormal"), "abnormal", line(_abnormal), "points"),
    ]
    if night_use:
        minimum.insert(0, Series(page.text("nights.night_use"), "compare", line(lambda _: night_use)))
    shown = [series for series in minimum if any(row[1] is not None for row in series.data)]
    panels = [Panel(page.text("nights.minimum"), FLOW_UNIT, shown, 2)]
    excess = line(lambda night: night.excess_m3h)
    if any(row[1] is not None for row in excess):
        bars = Series(page.text("nights.excess"), "usual", excess, "bars")
        panels.append(Panel(page.text("nights.excess"), FLOW_UNIT, [bars], 2))
    events = read_events(stored.database, stored.sensor, start, stop)
    marks = event_marks(stored, [event for event in events if event.kind in WATER_KINDS or event.is_works], start, stop)
    return Chart(
        panels, wall.milliseconds(start), wall.milliseconds(stop), [mark for mark in marks if mark.kind != "now"]
    )


def _abnormal(night: Night) -> float | None:
    return night.minimum_m3h if night.flag else None


def night_rows(nights: Sequence[Night], value: Callable[[Night], float | None], wall: WallClock) -> Rows:
    """Return (time, value) of each night, None where nights are missing."""
    rows: Rows = []
    before: Night | None = None
    for night in nights:
        if before is not None and night.at - before.at > BREAK_SECONDS:
            rows.append([wall.milliseconds(before.at + DAY), None])
        number = value(night)
        rows.append([wall.milliseconds(night.at), None if number is None else round(number, 3)])
        before = night
    return rows
