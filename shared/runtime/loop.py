"""The loop of every service: receive, handle, end the batch, confirm, acknowledge."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shared.contract.codec import ContractError
from shared.contract.messages import LocalizedText, Message, Rejected, SensorRetired
from shared.contract.service import Service, Unavailable
from shared.contract.status_codes import Problem
from shared.contract.texts import localized, technical
from shared.runtime.applied_settings import watch_applied
from shared.runtime.bus import Bus, Delivery, noop
from shared.runtime.log import log

BATCH_SIZE = 1000
WAIT_SECONDS = 0.5


def run(
    service: Service,
    bus: Bus,
    poll: Callable[[], Sequence[Delivery]] = list,
    problems: Callable[[], Sequence[Problem]] = tuple,
    flush: Callable[[], None] = noop,
) -> None:
    """Run a service until SIGTERM or SIGINT, or until another start has applied other settings.

    `poll` returns items of an ingest source; `problems` returns the problems of the status while nothing blocks it.
    While the broker is away the source is still polled: the messages are not published, and `flush` makes them safe.
    """
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())

    def end(parts: list[str]) -> None:
        log(service.name, "settings_changed", logging.WARNING, parts=", ".join(parts))
        stop.set()

    watch_applied(end)
    serve(service, bus, stop, poll, problems, flush)


def serve(
    service: Service,
    bus: Bus,
    stop: threading.Event,
    poll: Callable[[], Sequence[Delivery]] = list,
    problems: Callable[[], Sequence[Problem]] = tuple,
    flush: Callable[[], None] = noop,
) -> None:
    """Run a service until `stop` is set."""

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
    log(service.name, "service_started")
    _start_service(service, bus, stop)
    while not stop.is_set():
        polled = poll()
        received = bus.receive(BATCH_SIZE, 0.0 if polled else WAIT_SECONDS)
        process_batch(service, bus, [*polled, *received], stop)
        bus.heartbeat(problems())
    bus.close()
    log(service.name, "service_stopped")


def process_batch(
    service: Service, bus: Bus, deliveries: Sequence[Delivery], stop: threading.Event | None = None
) -> None:
    """Handle a batch; acknowledge it only after all resulting messages are safe at the broker."""
    for delivery in deliveries:
        if messages := handle_with_retry(service, bus, delivery.message, stop):
            _publish_all(service, bus, messages)
        if isinstance(delivery.message, SensorRetired):
            bus.forget(delivery.message.sensor)
    _publish_all(service, bus, _retry_until_available(service.end_batch, service, bus, stop))
    if stop and stop.is_set():
        return
    bus.confirm()
    for delivery in deliveries:
        delivery.acknowledge()


def handle_with_retry(service: Service, bus: Bus, message: Any, stop: threading.Event | None = None) -> list[Message]:
    """Return the messages that follow from one message. If the handler fails twice, reject the message."""
    try:
        return list(service.handle(message))
    except Unavailable:
        pass
    except Exception as first:
        log(service.name, "handler_retried", logging.WARNING, first, message=type(message).__name__)
    try:
        return _retry_until_available(lambda: service.handle(message), service, bus, stop)
    except Exception as second:
        log(service.name, "handler_failed", logging.ERROR, second, message=type(message).__name__)
        return [_rejected(service, message, technical(repr(second)))]


def _start_service(service: Service, bus: Bus, stop: threading.Event) -> None:
    """Publish the messages of `start` one by one: the year of a first start does not fit in memory."""

    def publish_start() -> list[Message]:
        _publish_all(service, bus, service.start())
        return []

    _retry_until_available(publish_start, service, bus, stop)
    bus.confirm()


def _retry_until_available(
    call: Callable[[], Iterable[Message]], service: Service, bus: Bus, stop: threading.Event | None
) -> list[Message]:
    """Call until the required resource is available, and report meanwhile what is missing."""
    last_logged = ""
    while True:
        try:
            return list(call())
        except Unavailable as reason:
            if stop is None:
                raise
            if str(reason) != last_logged:
                last_logged = str(reason)
                log(service.name, "service_blocked", logging.ERROR, code=reason.problem.code, reason=last_logged)
            bus.heartbeat((reason.problem,))
            if stop.wait(1.0):
                return []


def _publish_all(service: Service, bus: Bus, messages: Iterable[Message]) -> None:
    """Publish messages; publish a Rejected instead of one that violates the contract."""
    for message in messages:
        try:
            bus.publish(message)
        except ContractError as error:
            kind = type(message).__name__
            log(service.name, "invalid_message_rejected", logging.ERROR, message=kind, reason=str(error))
            reason = localized(
                "메시지가 규격에 맞지 않습니다: {error}", "message violates the contract: {error}", error=error
            )
            bus.publish(_rejected(service, message, reason))


def _rejected(service: Service, message: Any, reason: LocalizedText) -> Rejected:
    """Return a Rejected for an incoming or outgoing message; its site name may be the invalid part."""
    site, source = getattr(message, "site", "unknown"), f"{service.name}: {type(message).__name__}"
    return Rejected(site, source, reason, str(message)[:4000])
