"""A web application of the dashboard without a broker."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.testclient import TestClient

from cli import assets
from services.dashboard.events import EventHub
from services.dashboard.live_state import LiveState
from services.dashboard.operator import Operator
from services.dashboard.views import NAVIGATION
from services.dashboard.web.access import KEY_FILE, Access
from services.dashboard.web.app import make_app
from services.dashboard.web.assets import Assets
from services.dashboard.web.page import Backend, Page, make_templates
from services.dashboard.web.texts import Texts
from shared.contract.messages import Command
from shared.settings import Settings


class FakeSite:
    """A dashboard and the commands that it has sent; no service responds."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        assets.ensure()
        (folder / KEY_FILE).write_text("key", encoding="ascii")
        self.folder, self.live, self.commands = folder, LiveState(), list[Command]()
        self.live.is_connected = True
        self.settings = settings or Settings(data=folder)
        operator = Operator("site1", self.commands.append, lambda: self.live.is_connected)
        self.backend = Backend(
            self.settings,
            self.live,
            EventHub(),
            operator,
            Access(folder),
            Assets(),
            Texts(),
            make_templates(),
            datetime.now(self.settings.zone),
            NAVIGATION,
        )

    def page(self) -> Page:
        """Return the page of a request for the present, by an operator."""
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [],
            "server": ("localhost", 8080),
        }
        return Page.of(Request({**scope, "scheme": "http", "app": make_app(self.backend)}))

    def browser(self, **options: Any) -> TestClient:
        """Return a client with its own cookies."""
        client = TestClient(make_app(self.backend), "http://localhost:8080", follow_redirects=False, **options)
        client.headers.update({"accept": "text/html", "origin": "http://localhost:8080"})
        return client
