"""A month of one sensor on one page that prints well."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.queries.report import MonthReport, months_with_readings, read_report, water_balance
from services.dashboard.queries.site_time import MINUTE, local_date, month_span, previous_month
from services.dashboard.web.report_charts import report_chart
from services.dashboard.web.stored import StoredPage, stored_endpoint

FRAGMENTS = ()
SHOWN_LOSSES = 10
"""Incidents on the page, those with the largest loss first; more would need a second page."""


@stored_endpoint
def show(stored: StoredPage) -> Response:
    report, dma = _report(stored), stored.page.settings.dma
    return stored.page.response(
        "report.html",
        view="report",
        stored=stored,
        sensor=stored.sensor,
        report=report,
        balance=water_balance(report, dma.night_use_m3h, dma.connections, dma.mains_km, dma.billed_m3),
        billed=dma.billed_m3.get(report.month),
        losses=sorted(report.losses, key=lambda loss: -(loss.lost_m3 or 0.0))[:SHOWN_LOSSES],
        more_losses=max(0, len(report.losses) - SHOWN_LOSSES),
        months=months_with_readings(stored.database, stored.sensor),
        queries={name: urlencode({"sensor": name, "month": report.month}) for name in stored.sensors},
        made_at=stored.time(stored.present),
    )


@stored_endpoint
def chart(stored: StoredPage) -> Response:
    report = _report(stored)
    return report_chart(stored, report, month_span(report.month, stored.database.zone)[1]).response()


def _report(stored: StoredPage) -> MonthReport:
    """Return the report of `?month=2026-03`; without a valid one, that of the last month that is over."""
    today = local_date(stored.present - MINUTE, stored.database.zone)
    default = previous_month(today.replace(day=1)).isoformat()[:7]
    months = months_with_readings(stored.database, stored.sensor)
    if months and default not in months:
        default = months[0]
    try:
        return read_report(stored.database, stored.sensor, stored.asked("month", default), stored.present)
    except ValueError:
        return read_report(stored.database, stored.sensor, default, stored.present)


ROUTES = (Route("/report", show), Route("/api/report", chart))
