"""State of the broker, its queues and the status of each service."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from cli import compose
from cli.doctor_checks import backlog
from cli.doctor_checks.finding import Finding, format_duration, note, ok, wrong
from cli.doctor_checks.versions import check_mosquitto
from cli.init_site import SERVICES
from cli.local_site import supervisor_pid
from shared.contract.codec import ContractError, decode
from shared.contract.messages import Message, Status, Stored
from shared.contract.status_codes import STATUS_CODES
from shared.contract.topics import topic_filter, topic_of
from shared.runtime.broker_probe import BrokerRefused, retained_messages, retained_with_will_ages
from shared.settings import Settings
from shared.version import VERSION

MAX_STATUS_AGE = 120
"""Seconds; each service publishes its status every ten."""
RETURN_TIMEOUT_SECONDS = 60.0
"""A service without messages for so long exits and is restarted."""


def is_running(settings: Settings) -> bool:
    """Return whether WVR runs here, as local processes or in Docker."""
    return supervisor_pid(settings.data) is not None or (compose.engine().is_available and compose.is_running())


def check(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Check the retained messages of the broker. Raises OSError if the operator's password is not readable."""
    where = f"{settings.broker.host}:{settings.broker.connect_port}"
    topics = (backlog.QUEUE, backlog.RETAINED, backlog.DROPPED, backlog.VERSION)
    try:
        retained, will_ages = retained_with_will_ages(
            settings, *topics, *(topic_filter(kind, settings.site.name) for kind in (Status, Stored))
        )
    except SystemExit as error:
        yield wrong(str(error), "./wvr up creates passwords; see docs/how-to/access.md for certificates")
        return
    except PermissionError:
        raise
    except OSError as error:
        yield wrong(f"no connection to the broker at {where}: {error}", "./wvr status; ./wvr logs broker; ./wvr up")
        return
    except BrokerRefused as refusal:
        yield wrong(f"the broker at {where}: {refusal}", "./wvr logs broker; ./wvr down, then ./wvr up")
        return
    yield ok(f"the broker at {where} accepts the operator")
    yield from _check_broker(retained)
    status = dated_statuses(retained, will_ages, now)
    for name in SERVICES:
        yield from check_service(name, status.get(name), now)


def online(settings: Settings) -> list[str]:
    """Return the services with the state online. Raises OSError, BrokerRefused."""
    status_by_service = statuses(retained_messages(settings, topic_filter(Status, settings.site.name)))
    return [name for name in SERVICES if name in status_by_service and status_by_service[name].state == "online"]


def wait_for_return(settings: Settings, since: datetime, names: Collection[str]) -> Iterator[Finding]:
    """Check that services publish a status after `since`, the restart of the broker. Raises OSError, BrokerRefused."""
    until = time.monotonic() + RETURN_TIMEOUT_SECONDS
    topic, missing = topic_filter(Status, settings.site.name), sorted(names)
    while missing and time.monotonic() < until:
        time.sleep(0.5)
        status = statuses(retained_messages(settings, topic))
        missing = [name for name in missing if name not in status or not _published_since(status[name], since)]
    for name in missing:
        yield wrong(f"{name} did not reconnect after the broker's restart", f"./wvr logs {name}; ./wvr down, ./wvr up")
    if not missing:
        yield ok(f"{len(names)} services reconnected after the broker's restart")


def _published_since(status: Status, since: datetime) -> bool:
    return status.state == "online" and status.at > since


def statuses(retained: Mapping[str, bytes]) -> dict[str, Status]:
    """Return the newest status of each service."""
    return {message.name: message for message in _messages(retained) if isinstance(message, Status)}


def dated_statuses(retained: Mapping[str, bytes], will_ages: Mapping[str, int], now: datetime) -> dict[str, Status]:
    """Return the newest status of each service; one that is a last will with the time at which it was published."""
    return {
        name: replace(status, at=now - timedelta(seconds=will_ages[topic]))
        if (topic := topic_of(status)) in will_ages
        else status
        for name, status in statuses(retained).items()
    }


def _check_broker(retained: Mapping[str, bytes]) -> Iterator[Finding]:
    if version := retained.get(backlog.VERSION):
        yield check_mosquitto(f"the broker is {version.decode('utf-8', 'replace')}")
    yield from backlog.check_broker(retained)
    yield from backlog.check_store(
        next((message for message in _messages(retained) if isinstance(message, Stored)), None)
    )


def check_service(name: str, status: Status | None, now: datetime) -> Iterator[Finding]:
    """Check the last status of a service."""
    logs = f"./wvr logs {name}"
    if status is None:
        yield wrong(f"{name} has never published a status on this broker", f"{logs}; ./wvr down, then ./wvr up")
        return
    if status.state != "online":
        yield wrong(f"{name} is {status.state} since {status.at:%Y-%m-%d %H:%M}", f"{logs}; ./wvr up")
        return
    if (silent := (now - status.at).total_seconds()) > MAX_STATUS_AGE:
        yield wrong(
            f"{name} has published no status for {format_duration(silent)}", f"{logs}; ./wvr down, then ./wvr up"
        )
    has_problem = status.code not in ("ok", "waiting_for_broker")  # A message through the broker ends that state.
    if status.code == "schema_older":  # It passes, or db_writer reports the cause.
        yield note(f"{name}: {status.note.en}", "./wvr doctor, once more in a minute")
    elif status.code == "processor_without_avx":  # The models say it, and nothing has to be done.
        yield ok(f"{name} is online, without training")
    elif has_problem:
        yield wrong(f"{name}: {status.note.en} [{status.code}]", STATUS_CODES[status.code].action.en)
    if status.version != VERSION:
        yield wrong(f"{name} is version {status.version}, this is {VERSION}", "./wvr down, then ./wvr up")
    if status.lag > backlog.LONG_QUEUE:
        yield note(f"{name} has {status.lag} messages waiting", f"if the backlog does not shrink: {logs}")
    if not has_problem:
        yield ok(f"{name} is online, {status.lag} messages waiting, {status.memory_mb:.0f} MB")


def _messages(retained: Mapping[str, bytes]) -> Iterator[Message]:
    for topic, payload in retained.items():
        try:
            yield decode(topic, payload)
        except ContractError:
            continue
