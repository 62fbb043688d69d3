"""Wall mode: large digits that are readable from three metres, without menu. `?sensor=` shows one sensor."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.views import now
from services.dashboard.web.page import Page


def show(request: Request) -> Response:
    page = Page.of(request)
    chosen = request.query_params.get("sensor", "")
    names = [sensor.name for sensor in page.live.sensors if chosen in ("", sensor.name)]
    return page.response(
        "wall.html",
        view="wall",
        sensor=chosen,
        cards={name: now.sensor_card(page, name) for name in names},
        incidents=now.incidents(page),
        names=now.sensor_names(page),
    )


ROUTES = (Route("/wall", show),)
FRAGMENTS = now.FRAGMENTS
