"""The web application: routes of all views, events, files; headers, sessions and the Origin check around them."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from services.dashboard.events import Fragment, event
from services.dashboard.views import VIEWS
from services.dashboard.web.frame import FRAME_FRAGMENTS, banner, incident_count
from services.dashboard.web.page import Backend, Page
from shared.contract.service import Unavailable
from shared.runtime.log import log
from shared.version import VERSION

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
OPEN_PATHS = ("/login", "/logout", "/alive")
"""Paths without a session, besides the files for the browser."""
MAX_BODY_BYTES = 65_536
"""Limit of a form."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def make_app(backend: Backend) -> Starlette:
    """Return the application."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        backend.hub.attach()
        yield

    backend.templates.globals.update(banner=banner, incident_count=incident_count)
    routes = [
        Route("/events", _events),
        Route("/alive", lambda _: PlainTextResponse("ok")),
        Route("/static/{version}/{name}", backend.assets.serve),
        *(route for view in VIEWS.values() for route in view.ROUTES),
    ]
    middleware = [Middleware(Guard), Middleware(GZipMiddleware, minimum_size=1000)]
    app = Starlette(routes=routes, middleware=middleware, lifespan=lifespan, exception_handlers={404: _not_found})
    app.state.backend = backend
    return app


class Guard:
    """Refuses what the user may not do, and adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, has_started = Request(scope, receive), False

        async def send_with_headers(message: ASGIMessage) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            await (_refusal(request) or self._app)(scope, receive, send_with_headers)
        except Exception as error:
            if has_started:
                raise
            await _failure(request, error)(scope, receive, send_with_headers)


def _failure(request: Request, error: Exception) -> Response:
    """Return the response to a request that failed: 503 while the database is in use, else 500."""
    page = Page.of(request)
    if isinstance(error, Unavailable):
        return page.failure(503, page.text("base.unavailable", reason=page.localized(error.problem.text)))
    log("dashboard", "request_failed", logging.ERROR, error, path=request.url.path)
    return page.failure(500, page.text("base.failed"))


async def _not_found(request: Request, _: Exception) -> Response:
    page = Page.of(request)
    return page.failure(404, page.text("base.not_found"))


def _refusal(request: Request) -> Response | None:
    """Return the response to a request that is not permitted, else None."""
    access, path = request.app.state.backend.access, request.url.path
    if not access.has_password and request.url.hostname not in LOOPBACK_NAMES:
        # A page of another site whose name was made to point to this machine.
        return PlainTextResponse("only http://localhost without a password", 421)
    if request.method not in ("GET", "HEAD") and not _is_same_origin(request):
        return PlainTextResponse("forbidden: another origin", 403)
    if request.method not in ("GET", "HEAD") and not _has_small_body(request):
        return PlainTextResponse("the body is too large, or has no length", 413)
    if path in OPEN_PATHS or path.startswith("/static/"):
        return None
    user = access.user(request.cookies.get(access.cookie))
    if user is None:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        return PlainTextResponse("unauthorized", 401)
    if request.method not in ("GET", "HEAD") and not user.may_change:
        return PlainTextResponse("forbidden: only an operator may do this", 403)
    return None


def _is_same_origin(request: Request) -> bool:
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")


def _has_small_body(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return length.isdecimal() and int(length) <= MAX_BODY_BYTES


async def _events(request: Request) -> Response:
    """Respond with the events of a view: `?view=NAME&sensor=SENSOR`; without a sensor, those of all sensors."""
    view = VIEWS.get(request.query_params.get("view", ""))
    fragments = (*FRAME_FRAGMENTS, *(view.FRAGMENTS if view else ()))
    stream = _stream(Page.of(request), fragments, request.query_params.get("sensor", ""))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


async def _stream(page: Page, fragments: tuple[Fragment, ...], only_sensor: str) -> AsyncIterator[str]:
    """Yield the version, all fragments, then those that a message has changed."""
    yield f"retry: 1000\n{event('version', VERSION)}"
    session = page.request.cookies.get(page.backend.access.cookie)

    def sensors_of(fragment: Fragment) -> list[str]:
        names = [sensor.name for sensor in page.live.sensors] if fragment.per_sensor else [""]
        return [name for name in names if not only_sensor or name in ("", only_sensor)]

    def rendered(fragment: Fragment, sensor: str) -> str:
        name = f"{fragment.event}:{sensor}" if sensor else fragment.event
        shared, key = page.backend.hub.rendered, (name, page.language, page.user)
        if key not in shared:
            shared[key] = event(name, fragment.render(page, sensor))
        return shared[key]

    for fragment in fragments:
        for sensor in sensors_of(fragment) if fragment.on_open else ():
            yield rendered(fragment, sensor)
    async for changes in page.backend.hub.changes():
        if page.backend.access.user(session) != page.user:
            yield event("login", "")
            return
        if not changes:
            yield event("alive", str(int(time.time() * 1000)))
        for fragment in fragments:
            relevant = {change.sensor for change in changes if change.kind in fragment.on}
            if relevant:
                for sensor in sensors_of(fragment):
                    if not fragment.per_sensor or relevant & {"", sensor}:
                        yield rendered(fragment, sensor)
