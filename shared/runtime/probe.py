"""A short visit to the broker as the operator: what it keeps, and whether it keeps what it was given."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from shared.contract.acl import DOCTOR_TOPICS
from shared.runtime.mqtt_bus import broker_password
from shared.runtime.reach import trusting
from shared.settings import Settings

ANSWER_SECONDS = 10.0
USER = "operator"


class Refused(Exception):
    """The broker is there and doesn't do what it is asked; the text says what."""


class Visit:
    """One connection. Every wait has a limit."""

    def __init__(self, settings: Settings, name: str, expires: int, clean: bool) -> None:
        """Connects. Raises OSError when the broker can't be reached, Refused when it lets nobody in or hangs.

        name: client id whose session the broker keeps for `expires` seconds; empty: a passing one.
        """
        self.session_kept = False
        """Whether the broker still knew this name's session."""
        self._heard: list[tuple[str, bytes]] = []
        self._answers: dict[Any, str] = {}
        self._news = threading.Condition()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        self._client.username_pw_set(USER, broker_password(USER, settings))
        self._client.on_connect, self._client.on_message = self._on_connect, self._on_message
        self._client.on_publish = lambda _, __, mid, reason, ___: self._answer(mid, reason)
        self._client.on_subscribe = lambda _, __, mid, reasons, ___: self._answer(mid, reasons[0])
        broker = settings.broker
        if broker.ca:
            self._client.tls_set_context(trusting(broker.ca))
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expires
        self._client.connect(broker.host, broker.connect_port, 30, clean_start=clean, properties=properties)
        self._client.loop_start()
        try:
            self._expect("connect", f"the user {USER}")
        except Refused:
            self.leave()
            raise

    def listen(self, *topics: str) -> None:
        """Subscribes. Raises Refused."""
        for topic in topics:
            self._expect(self._client.subscribe(topic, 1)[1], f"a subscription to {topic}")

    def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publishes with QoS 1, and returns when the broker has confirmed. Raises Refused."""
        self._expect(self._client.publish(topic, payload, 1, retain).mid, f"a message on {topic}")

    def hears(self, wanted: tuple[str, bytes], seconds: float = ANSWER_SECONDS) -> bool:
        """Whether a topic says this within the time."""
        return self._wait(lambda: wanted in self._heard, seconds)

    def heard(self) -> Sequence[tuple[str, bytes]]:
        """All that came until now."""
        return tuple(self._heard)

    def leave(self) -> None:
        """Ends the connection; the session stays as long as it was asked to."""
        self._client.disconnect()
        self._client.loop_stop()

    def _expect(self, key: Any, what: str) -> None:
        if not self._wait(lambda: key in self._answers, ANSWER_SECONDS):
            raise Refused(f"it does not answer within {ANSWER_SECONDS:.0f} s")
        if answer := self._answers.pop(key):
            raise Refused(f"it refuses {what}: {answer}")

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        with self._news:
            while not condition() and (left := until - time.monotonic()) > 0:
                self._news.wait(left)
            return condition()

    def _answer(self, key: Any, reason: Any) -> None:
        with self._news:
            self._answers[key] = str(reason) if reason.is_failure else ""
            self._news.notify_all()

    def _on_connect(self, _: Any, __: Any, flags: mqtt.ConnectFlags, reason: Any, ___: Any) -> None:
        self.session_kept = flags.session_present
        self._answer("connect", reason)

    def _on_message(self, _: Any, __: Any, packet: mqtt.MQTTMessage) -> None:
        with self._news:
            self._heard.append((packet.topic, bytes(packet.payload)))
            self._news.notify_all()


@contextmanager
def visit(settings: Settings, name: str = "", expires: int = 0, clean: bool = True) -> Iterator[Visit]:
    """A visit that ends."""
    caller = Visit(settings, name, expires, clean)
    try:
        yield caller
    finally:
        caller.leave()


def kept(settings: Settings, *topics: str) -> dict[str, bytes]:
    """Topic to what the broker has retained there. Raises OSError, Refused.

    MQTT keeps the order: what is retained has come before what the visitor then says to itself.
    """
    last = (f"{DOCTOR_TOPICS}/{uuid.uuid4().hex}", b"all")
    with visit(settings) as caller:
        caller.listen(*topics, last[0])
        caller.say(*last)
        if not caller.hears(last):
            raise Refused("it does not give back what it confirmed")
        return {topic: payload for topic, payload in caller.heard() if topic != last[0]}
