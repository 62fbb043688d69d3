"""The two small charts of the report: volume by day, and minimum night flow by night."""

from __future__ import annotations

from services.dashboard.queries.chart_lines import Rows, WallClock
from services.dashboard.queries.report import MonthReport
from services.dashboard.queries.site_time import DAY, midnight
from services.dashboard.web.chart_data import Chart, Panel, Series
from services.dashboard.web.formats import FLOW_UNIT
from services.dashboard.web.night_chart import night_rows
from services.dashboard.web.stored import StoredPage


def report_chart(stored: StoredPage, report: MonthReport, end: int) -> Chart:
    """Return volume by day above minimum night flow; `end` is the end of the month, epoch seconds."""
    page, zone = stored.page, stored.database.zone
    wall = WallClock(zone)
    volumes: Rows = [
        [wall.milliseconds(midnight(item.day, zone) + DAY // 2), round(item.volume_m3, 1)]
        for item in report.days
        if item.hours
    ]
    nights = night_rows(report.nights, lambda night: night.minimum_m3h, wall)
    usual = night_rows(report.nights, lambda night: night.usual_m3h, wall)
    panels = [
        Panel(page.text("report.volume"), "m³", [Series(page.text("report.volume"), "usual", volumes, "bars")], 0)
    ]
    if nights:
        minimum = [Series(page.text("nights.minimum"), "measured", nights)]
        if any(row[1] is not None for row in usual):
            minimum.insert(0, Series(page.text("nights.usual"), "usual", usual))
        panels.append(Panel(page.text("nights.minimum"), FLOW_UNIT, minimum, 2))
    return Chart(panels, wall.milliseconds(report.start), wall.milliseconds(end))
