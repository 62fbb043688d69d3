"""Wire the dashboard: the bus in the main thread, the web server in another."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address

import uvicorn

from services.dashboard.events import EventHub
from services.dashboard.live_state import LiveState
from services.dashboard.operator import Operator
from services.dashboard.service import Dashboard
from services.dashboard.views import NAVIGATION
from services.dashboard.web.access import Access
from services.dashboard.web.app import make_app
from services.dashboard.web.assets import Assets
from services.dashboard.web.page import Backend, make_templates
from services.dashboard.web.texts import Texts
from shared.runtime.bus import Delivery
from shared.runtime.log import log, start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings, load_settings

MAX_CONNECTIONS = 200
"""Connections of browsers; a page holds one or two."""
FROZEN_SECONDS = 60.0
"""A web server that has not run anything for so long hangs; the process ends and is restarted."""


class WebServer:
    """The web server in its own thread, and how long ago it last ran."""

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self._backend = backend
        self._socket = listen(settings.dashboard.bind, settings.dashboard.port)
        config = uvicorn.Config(
            make_app(backend),
            log_config=None,
            access_log=False,
            lifespan="on",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=2,
            server_header=False,
            proxy_headers=False,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)
        self._ran_at = time.monotonic()

    def start(self) -> None:
        """Accept connections."""
        self._thread.start()

    def check(self) -> None:
        """End the process if the web server has ended or hangs."""
        self._backend.hub.call(self._on_run)
        frozen = time.monotonic() - self._ran_at
        if not self._thread.is_alive() or frozen > FROZEN_SECONDS:
            log("dashboard", "web_server_failed", logging.ERROR, seconds=round(frozen))
            os._exit(1)

    def stop(self) -> None:
        """End the streams and the thread."""
        self._backend.hub.close()
        self._server.should_exit = True
        self._thread.join(5.0)

    def _on_run(self) -> None:
        self._ran_at = time.monotonic()


def listen(bind: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises OSError."""
    return socket.create_server(
        (bind, port), family=socket.AF_INET6 if ":" in bind else socket.AF_INET, reuse_port=False
    )


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches an address."""
    return address == "localhost" or ip_address(address).is_loopback


def main() -> None:
    settings = load_settings()
    start_logging(settings.zone)
    secrets = settings.secrets or settings.data / "secrets/dashboard"
    access = Access(secrets)
    reachable = settings.dashboard.published or settings.dashboard.bind
    if not is_loopback(reachable) and not access.has_password:
        sys.exit(f"the dashboard does not listen on {reachable} without a password; set one: ./wvr password")
    live, hub = LiveState(), EventHub()
    bus = MqttBus("dashboard", settings, temporary=True)
    operator = Operator(settings.site.name, bus.publish, lambda: bus.is_connected)
    backend = Backend(
        settings,
        live,
        hub,
        operator,
        access,
        Assets(),
        Texts(),
        make_templates(),
        datetime.now(settings.zone),
        NAVIGATION,
    )
    server = WebServer(settings, backend)
    server.start()

    def watch() -> Sequence[Delivery]:
        if bus.is_connected != live.is_connected:
            live.is_connected = bus.is_connected
            live.connection_changed_at = datetime.now(settings.zone)
            hub.announce_connection()
        server.check()
        return ()

    run(Dashboard(live, hub.announce, operator.on_response), bus, watch)
    server.stop()


if __name__ == "__main__":
    main()
