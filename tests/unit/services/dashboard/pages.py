"""Pages of the dashboard without a network: requests go to the application itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.dashboard.events import EventHub
from services.dashboard.live_state import LiveState
from services.dashboard.operator import Operator
from services.dashboard.views import NAVIGATION
from services.dashboard.web.access import KEY_FILE, Access
from services.dashboard.web.app import make_app
from services.dashboard.web.assets import Assets
from services.dashboard.web.page import Backend, make_templates
from services.dashboard.web.texts import Texts
from shared.settings import Dma, Meter, Sensor, Settings, Site


class FakeAssets(Assets):
    """Files that need no npm."""

    def __init__(self) -> None:
        self._files, self._versions = {}, {}

    def url(self, name: str) -> str:
        return f"/static/1/{name}"


@dataclass(frozen=True)
class Answer:
    """Response to a request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Pages:
    """The application over a folder of data."""

    def __init__(self, data: Path, dma: Dma | None = None) -> None:
        secrets = data / "secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / KEY_FILE).write_text("k" * 40, encoding="ascii")
        sensor = Sensor(flow_rate=Meter(min=0, max=1000), pressure=Meter(min=0, max=30))
        settings = Settings(
            data=data, site=Site(timezone="Europe/Berlin", country="DE"), dma=dma or Dma(), sensors={"001": sensor}
        )
        self.live = LiveState()
        backend = Backend(
            settings,
            self.live,
            EventHub(),
            Operator("site1", lambda _: None, lambda: False),
            Access(secrets),
            FakeAssets(),
            Texts(),
            make_templates(),
            datetime.now(settings.zone),
            NAVIGATION,
        )
        self._app = make_app(backend)

    def get(self, address: str) -> Answer:
        """Return the response to a GET."""
        return asyncio.run(self._get(address))

    async def _get(self, address: str) -> Answer:
        parts = urlsplit(address)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(b"host", b"localhost")],
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
        }
        sent: list[dict[str, Any]] = []
        waiting = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not sent:
                return {"type": "http.request", "body": b"", "more_body": False}
            await waiting.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))
