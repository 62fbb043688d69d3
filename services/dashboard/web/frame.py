"""The frame around every view: its banner of problems and the state of the connection."""

from __future__ import annotations

from datetime import timedelta

from services.dashboard.events import Fragment
from services.dashboard.web.page import Page
from shared.contract.messages import Anomaly, Status, Tick
from shared.contract.status_codes import STATUS_CODES

CLOCK_SLACK = timedelta(minutes=5)
"""Difference between the site's minute and this machine's clock from which a page warns."""


def banner(page: Page, _: str = "") -> str:
    """Return what concerns every view: the broker is away, a service has a problem, the clock is wrong."""
    problems = [
        (status.name, page.localized(status.note), page.localized(STATUS_CODES[status.code].action))
        for status in sorted(page.live.statuses.values(), key=lambda status: status.name)
        if status.state == "online" and status.code not in ("ok", "waiting_for_broker")
    ]
    stopped = sorted(status.name for status in page.live.statuses.values() if status.state != "online")
    tick = page.live.tick
    clock_minutes = round((page.now - tick.at).total_seconds() / 60) if tick else 0
    return page.render(
        "_banner.html",
        problems=problems,
        stopped=stopped,
        clock_minutes=clock_minutes if tick and abs(page.now - tick.at) > CLOCK_SLACK else 0,
    )


def incident_count(page: Page, _: str = "") -> str:
    """Return the number of open incidents for the menu."""
    anomalies = [anomaly for anomaly in page.live.open_anomalies if anomaly.kind != "works"]
    return page.render("_incident_count.html", anomalies=anomalies)


FRAME_FRAGMENTS = (
    Fragment("banner", (None, Status, Tick), banner),
    Fragment("incident-count", (Anomaly,), incident_count),
)
