"""Does the broker answer, and what do the services say of themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime

from cli import compose
from cli.checks.finding import Finding, lasting, note, ok, wrong
from cli.operator import Operator
from cli.place import supervisor
from cli.setup_site import SERVICES
from shared.contract.messages import Status
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.reach import hindrance
from shared.settings import Settings
from shared.version import VERSION

ANSWER_SECONDS = 10
LISTEN_SECONDS = 2
SILENT = 120
"""Seconds; each service says how it is every ten."""
LONG_QUEUE = 1000
"""Messages not yet handled: more than a minute's work of the largest site."""


def is_running(settings: Settings) -> bool:
    """Whether WVR was started here, as local processes or in Docker."""
    return supervisor(settings.data) is not None or (compose.engine().answers and compose.runs())


PASSING = "waiting for the broker"
"""A note that reached us through the broker has passed."""


def check(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Asks the broker for the retained status of each service."""
    where = f"{settings.broker.host}:{settings.broker.reached_at}"
    if why := hindrance(settings.broker):
        yield wrong(f"the broker at {where} can't be reached: {why}", "./wvr status; ./wvr logs broker; ./wvr up")
        return
    try:
        found = statuses(settings)
    except (SystemExit, OSError) as error:
        yield wrong(f"the password of the operator can't be read: {error}", "run as the owner of the data folder")
        return
    if found is None:
        yield wrong(f"the broker at {where} refuses the user operator, or hangs", "./wvr down, then ./wvr up")
        return
    yield ok(f"the broker at {where} answers and knows the operator")
    for name in SERVICES:
        yield from of_service(name, found.get(name), now)


def of_service(name: str, status: Status | None, now: datetime) -> Iterator[Finding]:
    """What a service's last status means."""
    logs = f"./wvr logs {name}"
    if status is None:
        yield wrong(f"{name} has never reported to this broker", f"{logs}; ./wvr down, then ./wvr up")
        return
    if status.state != "online":
        yield wrong(f"{name} is {status.state} since {status.at:%Y-%m-%d %H:%M}", f"{logs}; ./wvr up")
        return
    if (silent := (now - status.at).total_seconds()) > SILENT:
        yield wrong(f"{name} has said nothing for {lasting(silent)}", f"{logs}; ./wvr down, then ./wvr up")
    hindered = status.note not in ("", PASSING)
    if hindered:
        yield wrong(f"{name}: {status.note}", "docs/operations.md, the table of what each status means")
    if status.version != VERSION:
        yield note(f"{name} is version {status.version}, this is {VERSION}", "./wvr down, then ./wvr up")
    if status.lag > LONG_QUEUE:
        yield note(f"{name} has {status.lag} messages waiting", f"a backlog; if it doesn't get shorter: {logs}")
    if not hindered:
        yield ok(f"{name} is online, {status.lag} messages waiting, {status.memory_mb:.0f} MB")


def statuses(settings: Settings) -> dict[str, Status] | None:
    """Newest status by service; None when the broker lets nobody in."""
    bus = MqttBus("operator", settings)
    opening = threading.Thread(target=bus.open, args=(Operator(),), daemon=True)
    opening.start()
    opening.join(ANSWER_SECONDS)
    if opening.is_alive():
        return None
    found: dict[str, Status] = {}
    until = time.monotonic() + LISTEN_SECONDS
    while time.monotonic() < until:
        for delivery in bus.receive(1000, 0.2):
            delivery.done()
            if isinstance(delivery.message, Status):
                found[delivery.message.name] = delivery.message
    bus.close()
    return found
