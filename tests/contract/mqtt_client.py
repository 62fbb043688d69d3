"""A broker user of a test, with the broker's answers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from shared.runtime.broker_connection import tls_context
from tests.contract.acl_broker import OBSERVER
from tests.e2e.running_site import RunningSite
from tests.polling import wait_for

WILL = "dead"


class MqttClient:
    """A connected user."""

    def __init__(self, client: mqtt.Client) -> None:
        self._client = client
        self._answers: dict[int, bool] = {}
        self._rounds: set[int] = set()
        self.heard: list[tuple[str, str]] = []
        client.on_publish = lambda _, __, mid, reason, ___: self._answers.update({mid: not reason.is_failure})
        client.on_message = lambda _, __, packet: self.heard.append((packet.topic, packet.payload.decode()))
        client.on_subscribe = client.on_unsubscribe = lambda _, __, mid, *___: self._rounds.add(mid)

    def publish(self, topics: Iterable[str], payload: str, qos: int = 1, retain: bool = False) -> set[str]:
        """Publish on each topic; return the topics that the broker accepted (with QoS 0 it does not answer)."""
        sent = {self._client.publish(topic, payload, qos, retain).mid: topic for topic in topics}
        if qos:
            wait_for(lambda: sent.keys() <= self._answers.keys(), what=f"answers to {payload}")
        self.flush()
        return {topic for mid, topic in sent.items() if self._answers[mid]} if qos else set()

    def subscribe(self, *filters: str) -> None:
        self._await(self._client.subscribe([(one, 1) for one in filters])[1])

    def flush(self) -> None:
        """Returns when all is handled that came and went before."""
        self._await(self._client.unsubscribe("nothing")[1])

    def die(self) -> None:
        """Leaves so that the broker publishes the last will."""
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))

    def _await(self, mid: int | None) -> None:
        wait_for(lambda: mid in self._rounds, what="an answer of the broker")


@contextmanager
def connected(
    site: RunningSite, user: str | None, password: str = "", will: str = "", authority: Path | None = None
) -> Iterator[MqttClient]:
    """Connects, with an authority by TLS. Raises PermissionError when the broker doesn't let the user in."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    if user:
        client.username_pw_set(user, password or password_of(site, user))
    if will:
        client.will_set(will, WILL)
    answered, refusals = threading.Event(), []

    def on_connect(_: object, __: object, ___: object, reason: object, ____: object) -> None:
        if str(reason) != "Success":
            refusals.append(str(reason))
        answered.set()

    client.on_connect = on_connect
    peer = MqttClient(client)
    if authority:
        client.tls_set_context(tls_context(authority))
    client.connect("127.0.0.1", site.tls_port if authority else site.port)
    client.loop_start()
    try:
        assert answered.wait(10)
        if refusals:
            raise PermissionError(refusals[0])
        yield peer
    finally:
        client.disconnect()
        client.loop_stop()


def password_of(site: RunningSite, user: str) -> str:
    home = site.data / "run/broker" if user == "broker" else site.data / "secrets" / user
    return OBSERVER if user == OBSERVER else (home / "password").read_text(encoding="ascii")
