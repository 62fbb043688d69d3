"""Logging in and out."""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.dashboard.web.access import SESSION_SECONDS, TooManyAttempts
from services.dashboard.web.page import Page
from shared.runtime.log import log


def show(request: Request) -> Response:
    page = Page.of(request)
    return RedirectResponse("/", 303) if page.user else page.response("login.html", view="login", problem="")


async def log_in(request: Request) -> Response:
    """Set a session cookie after a right password."""
    page, form = Page.of(request), await request.form()
    access, address = page.backend.access, request.client.host if request.client else ""
    name = str(form.get("name", ""))
    try:
        session = await run_in_threadpool(access.log_in, name, str(form.get("password", "")), address)
    except TooManyAttempts:
        log("dashboard", "login_failed", logging.WARNING, address=address, reason="too many attempts")
        return page.response("login.html", view="login", problem="too_many", status_code=429)
    user = access.user(session)
    if session is None or user is None:
        log("dashboard", "login_failed", logging.WARNING, address=address, reason="wrong password")
        return page.response("login.html", view="login", problem="wrong", status_code=403)
    log("dashboard", "login_succeeded", who=user.name, role=user.role, address=address)
    response = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    response.set_cookie(access.cookie, session, SESSION_SECONDS, httponly=True, samesite="strict", secure=secure)
    return response


async def log_out(request: Request) -> Response:
    """Remove the session cookie."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(Page.of(request).backend.access.cookie)
    return response


ROUTES = (
    Route("/login", show),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
)
FRAGMENTS = ()
