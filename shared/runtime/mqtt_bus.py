"""The live bus: MQTT 5 with QoS 1 through a local Mosquitto."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from shared.contract.messages import Anomaly, History, Message, Reading, Rejected, Status
from shared.contract.topics import filters, topic_of
from shared.contract.wire import WireError, decode, encode
from shared.runtime.bus import Delivery
from shared.runtime.complaints import Complaints
from shared.runtime.health import Presence, heartbeat_file
from shared.runtime.log import log
from shared.runtime.reach import hindrance, trusting
from shared.runtime.register import Register
from shared.runtime.service import Service
from shared.settings import Settings

IN_FLIGHT = 1000
"""Unacknowledged messages in each direction; mosquitto.conf allows as many."""
MOST_BYTES = 2_000_000
"""Payload that one batch unpacks at the most; a year of history would weigh a hundred times as much."""
SESSION_DAYS = 30
BEAT_SECONDS = 10.0
DEAF_SECONDS = 60.0
"""A connected service that doesn't hear itself for so long is ended, and restarted by its supervisor."""


class MqttBus:
    """One service's side of the broker. Messages wait in an inbox until they are received.

    After a reconnect the broker delivers again what was not acknowledged, so the old connection's inbox is dropped.
    """

    def __init__(self, name: str, settings: Settings, stored: Callable[[], Iterable[str]] = tuple) -> None:
        """`stored`: the sensors that have readings."""
        self._settings, self._name = settings, name
        self._register, self._complaints = Register(settings.sensors, stored), Complaints()
        self._introducing: tuple[type[Message], ...] = ()
        self._presence = Presence(settings.site.name, name, settings.zone)
        self._inbox: queue.SimpleQueue[tuple[int, mqtt.MQTTMessage]] = queue.SimpleQueue()
        self.connections = 0
        """Times that the broker has taken this client in; the newest one's number."""
        self._subscriptions: list[tuple[str, SubscribeOptions]] = []
        self._ready, self._closed = threading.Event(), threading.Event()
        self._published: set[int] = set()
        self._confirmed: set[int] = set()
        self._progress = threading.Condition()
        self._retained: dict[str, bytes] = {}
        self._heard = self._beaten = 0.0
        self._client = self._make_client()
        self._own_topic = topic_of(self._presence.status("online"))

    def open(self, service: Service) -> None:
        """Connects, however long that takes, and subscribes."""
        if Reading in service.consumes:
            self._introducing = (Reading, History)
        wanted = [*filters(service.consumes, service.commands, self._settings.site.name), self._own_topic]
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)
        self._subscriptions = [(topic, options) for topic in wanted]
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_DAYS * 86_400
        properties.ReceiveMaximum = IN_FLIGHT
        broker = self._settings.broker
        self._client.connect_async(broker.host, broker.reached_at, 30, clean_start=False, properties=properties)
        self._client.loop_start()
        while not self._ready.wait(10):
            where = f"{broker.host}:{broker.reached_at}"
            log(self._name, "waiting for the broker", logging.WARNING, at=where, reason=hindrance(broker))
        self._heard = time.monotonic()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def receive(self, most: int, wait: float) -> Sequence[Delivery]:
        deliveries: list[Delivery] = []
        size = 0
        try:
            while len(deliveries) < most and size < MOST_BYTES:
                connection, packet = self._inbox.get(block=not deliveries, timeout=wait)
                size += len(packet.payload)
                if connection == self.connections and (delivery := self._open_packet(connection, packet)):
                    deliveries.append(delivery)
        except queue.Empty:
            pass
        return deliveries

    def publish(self, message: Message) -> None:
        for passed in self._complaints.take(message) if isinstance(message, Rejected) else (message,):
            self._publish(passed)

    def _publish(self, message: Message) -> None:
        payload, topic = encode(message), topic_of(message)
        self._send(topic, payload, message.retained)
        if message.retained:
            self._retained[topic] = payload
        elif isinstance(message, Anomaly):
            self._retained.pop(topic, None)
            self._send(topic, b"", retain=True)

    def confirm(self) -> None:
        with self._progress:
            while not self._published <= self._confirmed:
                self._progress.wait(1.0)
                self.beat("waiting for the broker")
            self._confirmed -= self._published
            self._published.clear()

    def beat(self, note: str) -> None:
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._beaten = time.monotonic()
            status = self._presence.status("online", self._inbox.qsize(), note)
            self._client.publish(self._own_topic, encode(status), qos=0, retain=True)
            for swallowed in self._complaints.due():
                self._publish(swallowed)

    def close(self) -> None:
        self._closed.set()
        self._client.publish(self._own_topic, encode(self._presence.status("stopping")), qos=1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"wvr-{self._name}", protocol=mqtt.MQTTv5, manual_ack=True
        )
        if authority := self._settings.broker.ca:
            client.tls_set_context(trusting(authority))
        client.username_pw_set(self._name, _password(self._name, self._settings))
        client.will_set(topic_of(self._presence.status("offline")), encode(self._presence.status("offline")), 1, True)
        client.max_inflight_messages_set(IN_FLIGHT)
        client.reconnect_delay_set(1, 5)
        client.suppress_exceptions = True
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message, client.on_publish = self._on_message, self._on_publish
        return client

    def _send(self, topic: str, payload: bytes, retain: bool) -> None:
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        self._published.add(info.mid)

    def _open_packet(self, connection: int, packet: mqtt.MQTTMessage) -> Delivery | None:
        """The message in a packet; what can't be read goes to `rejected` and is done with."""

        def done() -> None:
            if connection == self.connections:
                self._client.ack(packet.mid, packet.qos)

        if not packet.payload:
            done()
            return None
        try:
            return Delivery(self._admit(decode(packet.topic, packet.payload)), done)
        except WireError as error:
            log(self._name, "rejected a payload", logging.WARNING, topic=packet.topic, reason=str(error))
            raw = packet.payload[:4000].decode("utf-8", "replace")
            self.publish(Rejected(self._settings.site.name, packet.topic[:4000], str(error)[:4000], raw[:4000]))
            done()
            return None

    def _admit(self, message: Message) -> Message:
        """Refuses what belongs to none of the site's sensors: only readings, where they are heard, make one known."""
        if sensor := getattr(message, "sensor", None):
            may_be_new = not self._introducing or isinstance(message, self._introducing)
            if reason := self._register.refusal(sensor, may_be_new):
                raise WireError(reason)
        return message

    def _on_connect(self, client: mqtt.Client, _: Any, __: Any, reason: ReasonCode, ___: Any) -> None:
        if reason.is_failure:
            log(self._name, "the broker refuses", logging.ERROR, reason=str(reason))
            return
        self.connections += 1
        client.subscribe(self._subscriptions)
        for topic, payload in list(self._retained.items()):
            client.publish(topic, payload, qos=1, retain=True)
        self._beaten = 0.0

    def _on_subscribe(self, _: Any, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        for (topic, _options), reason in zip(self._subscriptions, reasons, strict=False):
            if reason.is_failure:
                log(self._name, "a subscription was refused", logging.ERROR, topic=topic, reason=str(reason))
        self._ready.set()

    def _on_message(self, client: mqtt.Client, _: Any, packet: mqtt.MQTTMessage) -> None:
        if packet.topic != self._own_topic:
            self._inbox.put((self.connections, packet))
            return
        client.ack(packet.mid, packet.qos)
        if self._is_own_beat(packet):
            self._heard = time.monotonic()
            heartbeat_file().touch()

    def _is_own_beat(self, packet: mqtt.MQTTMessage) -> bool:
        try:
            status = decode(packet.topic, packet.payload)
        except WireError:
            return False
        return isinstance(status, Status) and status.since == self._presence.since

    def _on_publish(self, _: Any, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
        if reason.is_failure:
            log(self._name, "the broker refused a message", logging.ERROR, reason=str(reason))
        with self._progress:
            self._confirmed.add(mid)
            self._progress.notify_all()

    def _watch(self) -> None:
        """Ends the process when its network thread has died or it no longer hears itself."""
        while not self._closed.wait(5):
            silent = time.monotonic() - self._heard
            lost = not any(thread.name.startswith("paho-mqtt-client") for thread in threading.enumerate())
            if lost or (self._client.is_connected() and silent > DEAF_SECONDS):
                log(self._name, "deaf: ending", logging.ERROR, network_thread_lost=lost, silent_seconds=round(silent))
                os._exit(70)
            if not self._client.is_connected():
                self._heard = time.monotonic()


def _password(name: str, settings: Settings) -> str:
    folder = settings.secrets or settings.data / "secrets" / name
    try:
        return (folder / "password").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SystemExit(f"{folder / 'password'}: the broker password of {name!r} is missing; run ./wvr up") from None
