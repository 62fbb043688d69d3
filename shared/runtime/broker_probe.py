"""A short session with the broker: reads retained messages, tests persistence, ends a session."""

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
from shared.runtime.broker_connection import WILL_EXPIRY_SECONDS, broker_password, tls_context
from shared.settings import Settings

ANSWER_TIMEOUT_SECONDS = 10.0
BROKER_USER = "operator"
"""User of all sessions but those that end a service's."""


class BrokerRefused(Exception):
    """The broker is reachable and does not do what it is asked; the text gives the reason."""


class BrokerSession:
    """One connection; every wait has a timeout."""

    def __init__(self, settings: Settings, name: str, expiry_seconds: int, clean_start: bool, user: str) -> None:
        """Connect. Raises OSError if the broker cannot be reached, BrokerRefused if it refuses the user or hangs.

        `name`: client id whose session the broker keeps for `expiry_seconds`; empty for a temporary session.
        """
        self.session_present = False
        """Whether the broker still had the session of this client id."""
        self._received: list[tuple[str, bytes]] = []
        self._expiry_seconds: dict[str, int] = {}
        self._answers: dict[Any, str] = {}
        self._changed = threading.Condition()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        self._client.username_pw_set(user, broker_password(user, settings))
        self._client.on_connect, self._client.on_message = self._on_connect, self._on_message
        self._client.on_publish = lambda _, __, mid, reason, ___: self._on_answer(mid, reason)
        self._client.on_subscribe = lambda _, __, mid, reasons, ___: self._on_answer(mid, reasons[0])
        broker = settings.broker
        if broker.ca:
            self._client.tls_set_context(tls_context(broker.ca))
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry_seconds
        self._client.connect(broker.host, broker.connect_port, 30, clean_start=clean_start, properties=properties)
        self._client.loop_start()
        try:
            self._await_answer("connect", f"the user {user}")
        except BrokerRefused:
            self.close()
            raise

    def subscribe(self, *topics: str) -> None:
        """Subscribe with QoS 1. Raises BrokerRefused."""
        for topic in topics:
            self._await_answer(self._client.subscribe(topic, 1)[1], f"a subscription to {topic}")

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the confirmation. Raises BrokerRefused."""
        self._await_answer(self._client.publish(topic, payload, 1, retain).mid, f"a message on {topic}")

    def wait_for(self, expected: tuple[str, bytes], seconds: float = ANSWER_TIMEOUT_SECONDS) -> bool:
        """Whether this topic and payload arrive within the time."""
        return self._wait_until(lambda: expected in self._received, seconds)

    def received(self) -> Sequence[tuple[str, bytes]]:
        """Return all messages received so far."""
        return tuple(self._received)

    def will_ages(self) -> dict[str, int]:
        """Return topic to seconds since the broker published a last will on it, for the messages that are wills."""
        return {topic: WILL_EXPIRY_SECONDS - seconds for topic, seconds in self._expiry_seconds.items()}

    def close(self) -> None:
        """Disconnect; the session expires as requested."""
        self._client.disconnect()
        self._client.loop_stop()

    def _await_answer(self, key: Any, what: str) -> None:
        if not self._wait_until(lambda: key in self._answers, ANSWER_TIMEOUT_SECONDS):
            raise BrokerRefused(f"it does not answer within {ANSWER_TIMEOUT_SECONDS:.0f} s")
        if answer := self._answers.pop(key):
            raise BrokerRefused(f"it refuses {what}: {answer}")

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition() and (remaining := deadline - time.monotonic()) > 0:
                self._changed.wait(remaining)
            return condition()

    def _on_answer(self, key: Any, reason: Any) -> None:
        with self._changed:
            self._answers[key] = str(reason) if reason.is_failure else ""
            self._changed.notify_all()

    def _on_connect(self, _: Any, __: Any, flags: mqtt.ConnectFlags, reason: Any, ___: Any) -> None:
        self.session_present = flags.session_present
        self._on_answer("connect", reason)

    def _on_message(self, _: Any, __: Any, packet: mqtt.MQTTMessage) -> None:
        with self._changed:
            self._received.append((packet.topic, bytes(packet.payload)))
            self._expiry_seconds.pop(packet.topic, None)
            if (seconds := getattr(packet.properties, "MessageExpiryInterval", None)) is not None:
                self._expiry_seconds[packet.topic] = seconds
            self._changed.notify_all()


@contextmanager
def broker_session(
    settings: Settings, name: str = "", expiry_seconds: int = 0, clean_start: bool = True, user: str = BROKER_USER
) -> Iterator[BrokerSession]:
    """Open a session that closes at the end of the block."""
    session = BrokerSession(settings, name, expiry_seconds, clean_start, user)
    try:
        yield session
    finally:
        session.close()


def end_session(settings: Settings, name: str, user: str) -> None:
    """End the session of a client id with all that the broker holds for it. Raises OSError, BrokerRefused."""
    with broker_session(settings, name, user=user):
        pass


def retained_messages(settings: Settings, *topics: str) -> dict[str, bytes]:
    """Return topic to retained payload. Raises OSError, BrokerRefused."""
    return retained_with_will_ages(settings, *topics)[0]


def retained_with_will_ages(settings: Settings, *topics: str) -> tuple[dict[str, bytes], dict[str, int]]:
    """Return topic to retained payload, and topic to seconds since its last will. Raises OSError, BrokerRefused.

    MQTT preserves order: retained messages arrive before the message that the session sends to itself.
    """
    sentinel = (f"{DOCTOR_TOPICS}/{uuid.uuid4().hex}", b"all")
    with broker_session(settings) as session:
        session.subscribe(*topics, sentinel[0])
        session.publish(*sentinel)
        if not session.wait_for(sentinel):
            raise BrokerRefused("it does not deliver a message that it confirmed")
        messages = {topic: payload for topic, payload in session.received() if topic != sentinel[0]}
        return messages, session.will_ages()
