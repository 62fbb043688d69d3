"""Does the broker answer, what does it hold, and what do the services say of themselves."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from cli import compose
from cli.doctor_checks import backlog
from cli.doctor_checks.finding import Finding, format_duration, note, ok, wrong
from cli.doctor_checks.versions import check_mosquitto
from cli.init_site import SERVICES
from cli.local_site import supervisor_pid
from shared.contract.codec import ContractError, decode
from shared.contract.messages import Message, Status, Stored
from shared.contract.topics import topic_filter
from shared.runtime.mqtt_bus import WAITING
from shared.runtime.probe import Refused, kept
from shared.settings import Settings
from shared.store.schema import OLDER
from shared.version import VERSION

MAX_STATUS_AGE = 120
"""Seconds; each service says how it is every ten."""
RETURN_TIMEOUT_SECONDS = 60.0
"""A service that is deaf for so long ends itself and is started again."""


def is_running(settings: Settings) -> bool:
    """Whether WVR was started here, as local processes or in Docker."""
    return supervisor_pid(settings.data) is not None or (compose.engine().is_available and compose.is_running())


def check(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Asks the broker for what it has retained. Raises OSError when the operator's password may not be read."""
    where = f"{settings.broker.host}:{settings.broker.connect_port}"
    topics = (backlog.QUEUE, backlog.RETAINED, backlog.DROPPED, backlog.VERSION)
    try:
        found = kept(settings, *topics, *(topic_filter(kind, settings.site.name) for kind in (Status, Stored)))
    except SystemExit as missing:
        yield wrong(str(missing), "./wvr up makes passwords; docs/access.md says what certificates it needs")
        return
    except PermissionError:
        raise
    except OSError as error:
        yield wrong(f"the broker at {where} can't be reached: {error}", "./wvr status; ./wvr logs broker; ./wvr up")
        return
    except Refused as refusal:
        yield wrong(f"the broker at {where}: {refusal}", "./wvr logs broker; ./wvr down, then ./wvr up")
        return
    yield ok(f"the broker at {where} answers and knows the operator")
    yield from _check_broker(found)
    status = statuses(found)
    for name in SERVICES:
        yield from check_service(name, status.get(name), now)


def online(settings: Settings) -> list[str]:
    """Services that say so. Raises OSError, Refused."""
    found = statuses(kept(settings, topic_filter(Status, settings.site.name)))
    return [name for name in SERVICES if name in found and found[name].state == "online"]


def wait_for_return(settings: Settings, since: datetime, names: Collection[str]) -> Iterator[Finding]:
    """Whether services speak after `since`, when the broker was restarted. Raises OSError, Refused."""
    until = time.monotonic() + RETURN_TIMEOUT_SECONDS
    topic, missing = topic_filter(Status, settings.site.name), sorted(names)
    while missing and time.monotonic() < until:
        time.sleep(0.5)
        status = statuses(kept(settings, topic))
        missing = [name for name in missing if name not in status or not _published_since(status[name], since)]
    for name in missing:
        yield wrong(f"{name} did not come back after the broker's restart", f"./wvr logs {name}; ./wvr down, ./wvr up")
    if not missing:
        yield ok(f"after the broker's restart {len(names)} services spoke again")


def _published_since(status: Status, since: datetime) -> bool:
    return status.state == "online" and status.at > since


def statuses(found: Mapping[str, bytes]) -> dict[str, Status]:
    """Newest status by service."""
    return {message.name: message for message in _messages(found) if isinstance(message, Status)}


def _check_broker(found: Mapping[str, bytes]) -> Iterator[Finding]:
    if version := found.get(backlog.VERSION):
        yield check_mosquitto(f"the broker is {version.decode('utf-8', 'replace')}")
    yield from backlog.check_broker(found)
    yield from backlog.check_store(next((one for one in _messages(found) if isinstance(one, Stored)), None))


def check_service(name: str, status: Status | None, now: datetime) -> Iterator[Finding]:
    """What a service's last status means."""
    logs = f"./wvr logs {name}"
    if status is None:
        yield wrong(f"{name} has never reported to this broker", f"{logs}; ./wvr down, then ./wvr up")
        return
    if status.state != "online":
        yield wrong(f"{name} is {status.state} since {status.at:%Y-%m-%d %H:%M}", f"{logs}; ./wvr up")
        return
    if (silent := (now - status.at).total_seconds()) > MAX_STATUS_AGE:
        yield wrong(f"{name} has said nothing for {format_duration(silent)}", f"{logs}; ./wvr down, then ./wvr up")
    hindered = status.note not in ("", WAITING)  # Heard through the broker, the waiting is over.
    if status.note == OLDER:  # It passes, or db_writer says what hinders it.
        yield note(f"{name}: {status.note}", "./wvr doctor, once more in a minute")
    elif hindered:
        yield wrong(f"{name}: {status.note}", "docs/operations.md, the table of what each status means")
    if status.version != VERSION:
        yield wrong(f"{name} is version {status.version}, this is {VERSION}", "./wvr down, then ./wvr up")
    if status.lag > backlog.LONG_QUEUE:
        yield note(f"{name} has {status.lag} messages waiting", f"a backlog; if it doesn't get shorter: {logs}")
    if not hindered:
        yield ok(f"{name} is online, {status.lag} messages waiting, {status.memory_mb:.0f} MB")


def _messages(found: Mapping[str, bytes]) -> Iterator[Message]:
    for topic, payload in found.items():
        try:
            yield decode(topic, payload)
        except ContractError:
            continue
