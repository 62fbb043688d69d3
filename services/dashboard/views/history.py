"""Any span of the past with the forecast on the same time axis."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.queries.csv_rows import csv_text
from services.dashboard.queries.site_time import HOUR, MINUTE, wall_text
from services.dashboard.views.now import CHART_FRAGMENTS
from services.dashboard.web.history_chart import DAILY_MEAN_FROM_STEP, compared_name, history_chart, read_shown
from services.dashboard.web.history_span import COMPARED_DAYS, PRESET_NAMES, HistorySpan, asked_span
from services.dashboard.web.history_table import statistics, table_rows
from services.dashboard.web.page import Page
from services.dashboard.web.stored import StoredPage, stored_endpoint
from shared.contract.messages import CHANNELS

FRAGMENTS = CHART_FRAGMENTS


@stored_endpoint
def show(stored: StoredPage) -> Response:
    asked = asked_span(stored)
    zone = stored.database.zone
    return stored.page.response(
        "history.html",
        view="history",
        stored=stored,
        sensor=stored.sensor,
        asked=asked,
        presets=PRESET_NAMES,
        compared_days=COMPARED_DAYS,
        ends=[wall_text(at, zone) for at in (asked.start, asked.stop)],
        part=_part(asked),
    )


@stored_endpoint
def part(stored: StoredPage) -> Response:
    """Respond with what stands below the chart, after a zoom."""
    return Response(_part(asked_span(stored)), media_type="text/html", headers={"cache-control": "no-store"})


def _part(asked: HistorySpan) -> str:
    stored = asked.stored
    if not stored.sensor:
        return ""
    shown = read_shown(asked)
    return stored.page.render(
        "_history_part.html",
        stored=stored,
        asked=asked,
        shown=shown,
        resolution=_resolution(stored.page, shown.span.step),
        statistics=[(channel, statistics(shown.span, channel)) for channel in CHANNELS if shown.has(channel)],
        rows=table_rows(shown.span, stored.database.zone),
        compared=compared_name(asked) if shown.compared else "",
    )


def _resolution(page: Page, step: int) -> str:
    """Return what lines and bands are, for buckets of `step` seconds."""
    if step == MINUTE:
        return page.text("history.minutes_shown")
    if step < HOUR:
        return page.text("history.buckets_minutes", n=step // MINUTE)
    return page.text(
        "history.buckets_hours" if step < DAILY_MEAN_FROM_STEP else "history.buckets_daily", n=step // HOUR
    )


@stored_endpoint
def chart(stored: StoredPage) -> Response:
    return history_chart(asked_span(stored)).response()


@stored_endpoint
def csv_file(stored: StoredPage) -> Response:
    """Respond with what is shown as a table."""
    asked = asked_span(stored)
    shown = read_shown(asked)
    forecasts = (shown.forecasts["flow_rate"], shown.forecasts["pressure"])
    text = csv_text(shown.span, stored.sensor, forecasts, stored.database.zone)
    name = f"wvr-{stored.sensor}-{wall_text(asked.start, stored.database.zone).replace(':', '')}.csv"
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}", "cache-control": "no-store"}
    return Response(text, media_type="text/csv", headers=headers)


ROUTES = (
    Route("/history", show),
    Route("/history/part", part),
    Route("/history.csv", csv_file),
    Route("/api/history", chart),
)
