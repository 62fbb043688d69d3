"""The loop that every service runs in: receive, handle, settle, confirm, acknowledge."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shared.contract.codec import ContractError
from shared.contract.messages import Message, Rejected
from shared.contract.service import Service, Unavailable
from shared.runtime.bus import Bus, Delivery, noop
from shared.runtime.log import log, start_logging

BATCH_SIZE = 1000
WAIT_SECONDS = 0.5


def run(
    service: Service,
    bus: Bus,
    poll: Callable[[], Sequence[Delivery]] = list,
    status_text: Callable[[], str] = str,
    flush: Callable[[], None] = noop,
) -> None:
    """Runs a service until SIGTERM or SIGINT.

    `poll` gives what a source of ingest has read; `note` what its status says while nothing hinders the work. While the
    broker is away the source is read on: what follows from it is not said, `keep` makes it safe.
    """
    start_logging()
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    serve(service, bus, stop, poll, status_text, flush)


def serve(
    service: Service,
    bus: Bus,
    stop: threading.Event,
    poll: Callable[[], Sequence[Delivery]] = list,
    status_text: Callable[[], str] = str,
    flush: Callable[[], None] = noop,
) -> None:
    """Runs a service until `stop` is set."""

    def poll_while_disconnected() -> None:
        polled = poll()
        for delivery in polled:
            handle_with_retry(service, bus, delivery.message, stop)
        _retry_until_available(flush_all, service, bus, stop)
        for delivery in polled:
            delivery.acknowledge()

    def flush_all() -> list[Message]:
        flush()
        return []

    bus.open(service, poll_while_disconnected)
    log(service.name, "online")
    _start_service(service, bus, stop)
    while not stop.is_set():
        polled = poll()
        received = bus.receive(BATCH_SIZE, 0.0 if polled else WAIT_SECONDS)
        process_batch(service, bus, [*polled, *received], stop)
        bus.heartbeat(status_text())
    bus.close()
    log(service.name, "stopped")


def process_batch(
    service: Service, bus: Bus, deliveries: Sequence[Delivery], stop: threading.Event | None = None
) -> None:
    """Handles a batch; acknowledges it only when all that follows from it is safe with the broker."""
    for delivery in deliveries:
        if messages := handle_with_retry(service, bus, delivery.message, stop):
            _publish_all(service, bus, messages)
    _publish_all(service, bus, _retry_until_available(service.end_batch, service, bus, stop))
    if stop and stop.is_set():
        return
    bus.confirm()
    for delivery in deliveries:
        delivery.acknowledge()


def handle_with_retry(service: Service, bus: Bus, message: Any, stop: threading.Event | None = None) -> list[Message]:
    """What follows from one message. A handler that fails twice on it sends it to `rejected`, and goes on."""
    try:
        return list(service.handle(message))
    except Unavailable:
        pass
    except Exception as first:
        log(service.name, "a handler failed; once more", logging.WARNING, first, message=type(message).__name__)
    try:
        return _retry_until_available(lambda: service.handle(message), service, bus, stop)
    except Exception as second:
        log(service.name, "a handler failed twice", logging.ERROR, second, message=type(message).__name__)
        return [_rejected(service, message, repr(second))]


def _start_service(service: Service, bus: Bus, stop: threading.Event) -> None:
    """Publishes what a service says at its start as it comes: a first start's year is too much to hold at once."""

    def publish_start() -> list[Message]:
        _publish_all(service, bus, service.start())
        return []

    _retry_until_available(publish_start, service, bus, stop)
    bus.confirm()


def _retry_until_available(
    call: Callable[[], Iterable[Message]], service: Service, bus: Bus, stop: threading.Event | None
) -> list[Message]:
    """Calls until what the work needs is there; says meanwhile what is missing."""
    last_logged = ""
    while True:
        try:
            return list(call())
        except Unavailable as reason:
            if stop is None:
                raise
            if str(reason) != last_logged:
                last_logged = str(reason)
                log(service.name, last_logged, logging.ERROR)
            bus.heartbeat(last_logged)
            if stop.wait(1.0):
                return []


def _publish_all(service: Service, bus: Bus, messages: Iterable[Message]) -> None:
    """Publishes; what breaks the contract is rejected in its place, and the service goes on."""
    for message in messages:
        try:
            bus.publish(message)
        except ContractError as error:
            kind = type(message).__name__
            log(service.name, "may not be said", logging.ERROR, message=kind, reason=str(error))
            bus.publish(_rejected(service, message, f"may not be said: {error}"))


def _rejected(service: Service, message: Any, reason: str) -> Rejected:
    """Of what came in or would have gone out; the site's name may be what is wrong with it."""
    site, source = getattr(message, "site", "unknown"), f"{service.name}: {type(message).__name__}"
    return Rejected(site, source, reason[:4000], str(message)[:4000])
