"""Incidents: the list with filters and figures, each with its timeline and plot; acknowledge, close, silence."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.events import Fragment
from services.dashboard.queries.incidents import (
    CAUSES,
    PHASES,
    Incident,
    chart_ends,
    count_causes,
    count_kinds,
    open_longer_than,
    read_incident,
    read_incidents,
    read_timeline,
    read_works,
    weeks,
)
from services.dashboard.queries.site_time import DAY, wall_text
from services.dashboard.web.page import Page
from services.dashboard.web.stored import StoredPage, stored_endpoint
from shared.contract.messages import Anomaly, Stored

SPANS = {"week": 7, "month": 31, "quarter": 92, "year": 365}
DEFAULT_SPAN = "month"
SEVERITIES = ("critical", "warning", "info")
FIGURE_WEEKS = 8
MAX_ROWS = 500
METHODS = ("system", "value", "prediction", "night")
MAX_NOTE_CHARACTERS = 200
ENTRIES = ("acknowledge", "unacknowledge", "close")


@dataclass(frozen=True)
class Filters:
    """What the list shows; an empty text shows all."""

    sensor: str
    phase: str
    severity: str
    kind: str
    span: str

    @classmethod
    def of(cls, stored: StoredPage) -> Filters:
        """Return the filters of an address."""
        span = stored.asked("span", DEFAULT_SPAN)
        sensor, phase, severity, kind = (stored.asked(name) for name in ("sensor", "phase", "severity", "kind"))
        return cls(sensor, phase, severity, kind, span if span in SPANS else DEFAULT_SPAN)

    def accept(self, incident: Incident) -> bool:
        """Whether the list shows an incident."""
        pairs = (
            (self.sensor, incident.sensor),
            (self.phase, incident.phase),
            (self.severity, incident.severity),
            (self.kind, incident.kind),
        )
        return all(asked in ("", value) for asked, value in pairs)

    def query(self, **changes: str) -> str:
        """Return the parameters of an address with these filters."""
        values = {name: getattr(self, name) for name in ("sensor", "phase", "severity", "kind", "span")} | changes
        return urlencode({name: value for name, value in values.items() if value})


@stored_endpoint
def show(stored: StoredPage) -> Response:
    filters = Filters.of(stored)
    return stored.page.response(
        "incidents.html",
        view="incidents",
        stored=stored,
        filters=filters,
        spans=SPANS,
        phases=PHASES,
        severities=SEVERITIES,
        methods=METHODS,
        now_text=wall_text(stored.present, stored.database.zone),
        part=_list(stored),
    )


@stored_endpoint
def list_part(stored: StoredPage) -> Response:
    """Respond with the list, after a change."""
    return _html(_list(stored))


def _list(stored: StoredPage) -> str:
    filters, now = Filters.of(stored), stored.present
    since = now - SPANS[filters.span] * DAY
    recent = read_incidents(stored.database, min(since, now - FIGURE_WEEKS * 7 * DAY))
    in_span = [item for item in recent if item.opened_at >= since or item.state != "cleared"]
    shown = [item for item in in_span if filters.accept(item)]
    return stored.page.render(
        "_incident_list.html",
        stored=stored,
        filters=filters,
        incidents=shown[:MAX_ROWS],
        hidden=max(len(shown) - MAX_ROWS, 0),
        works=read_works(stored.database, now),
        kinds=sorted({item.kind for item in in_span}),
        weeks=weeks(recent, now, FIGURE_WEEKS),
        dial=stored.page.settings.detection.false_alarms_per_week * max(len(stored.sensors), 1),
        causes=count_causes(in_span),
        frequent=count_kinds(in_span)[:3],
        long_open=list(open_longer_than(in_span, now, DAY)),
    )


@stored_endpoint
def show_one(stored: StoredPage) -> Response:
    incident = _asked(stored)
    if incident is None:
        return stored.page.response("incident_unknown.html", status_code=404, view="incidents")
    start, stop = chart_ends(incident, stored.present)
    zone = stored.database.zone
    span = {"sensor": incident.sensor, "from": wall_text(start, zone), "to": wall_text(stop, zone)}
    return stored.page.response(
        "incident.html",
        view="incidents",
        stored=stored,
        sensor=incident.sensor,
        incident=incident,
        query=urlencode(span),
        causes=CAUSES,
        part=_detail(stored, incident),
    )


@stored_endpoint
def detail_part(stored: StoredPage) -> Response:
    """Respond with state and timeline of one incident, after a change."""
    incident = _asked(stored)
    return _html(_detail(stored, incident)) if incident else Response(status_code=404)


def _detail(stored: StoredPage, incident: Incident) -> str:
    timeline = read_timeline(stored.database, incident.sensor, incident.id)
    return stored.page.render(
        "_incident_detail.html",
        stored=stored,
        incident=incident,
        changes=[entry for entry in timeline if entry.change != "updated"],
        updates=[entry for entry in timeline if entry.change == "updated"],
        minutes_open=incident.open_seconds(stored.present) // 60,
    )


def _asked(stored: StoredPage) -> Incident | None:
    path = stored.page.request.path_params
    return read_incident(stored.database, path["sensor"], path["id"])


def _html(text: str) -> Response:
    return Response(text, media_type="text/html", headers={"cache-control": "no-store"})


async def enter(request: Request) -> Response:
    """Acknowledge an incident, take that back, or close it with a cause."""
    page, name = Page.of(request), request.path_params["entry"]
    if name not in ENTRIES:
        return Response(status_code=404)
    form = await request.form()
    note, cause, who = (str(form.get(field, "")).strip()[:MAX_NOTE_CHARACTERS] for field in ("note", "cause", "by"))
    arguments = {"id": request.path_params["id"], "by": who or page.user_name, "note": note, "cause": cause}
    return page.outcome(await page.backend.operator.send(name, page.user_name, **arguments))


async def silence(request: Request) -> Response:
    """Open no alarm for a while, with a forced end and a reason."""
    page = Page.of(request)
    form = await request.form()
    names = ("sensor", "method", "from", "until", "reason", "by")
    arguments = {name: str(form.get(name, "")).strip()[:MAX_NOTE_CHARACTERS] for name in names}
    arguments["by"] = arguments["by"] or page.user_name
    return page.outcome(await page.backend.operator.send("silence", page.user_name, **arguments))


def changed(_: Page, __: str = "") -> str:
    """Return what tells a page to load its list again."""
    return ""


ROUTES = (
    Route("/incidents", show),
    Route("/incidents/part", list_part),
    Route("/incidents/silence", silence, methods=["POST"]),
    Route("/incidents/{sensor}/{id}", show_one),
    Route("/incidents/{sensor}/{id}/part", detail_part),
    Route("/incidents/{sensor}/{id}/{entry}", enter, methods=["POST"]),
)
FRAGMENTS = (Fragment("incidents-changed", (Anomaly, Stored), changed, on_open=False),)
