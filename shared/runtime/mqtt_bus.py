"""The live bus: MQTT 5 with QoS 1 through a local Mosquitto."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from shared.contract.codec import ContractError, decode, encode
from shared.contract.messages import Anomaly, Command, HistoryBatch, Message, Reading, Rejected, Status
from shared.contract.service import Service
from shared.contract.status_codes import Problem, problem
from shared.contract.topics import message_type_of, retained_topics, subscription_filters, topic_of
from shared.runtime.broker_connection import (
    WILL_EXPIRY_SECONDS,
    broker_password,
    client_id,
    connection_error,
    tls_context,
)
from shared.runtime.broker_probe import BrokerRefused, end_session
from shared.runtime.bus import Delivery, noop
from shared.runtime.health import StatusFactory, heartbeat_file, write_heartbeat
from shared.runtime.inbox import Inbox, Packet, RawMessage
from shared.runtime.log import log
from shared.runtime.publish_buffer import OutgoingMessage, PublishBuffer
from shared.runtime.rejection_limiter import RejectionLimiter
from shared.runtime.sensor_registry import SensorRegistry
from shared.runtime.watchdog import ROUND_SECONDS, Watchdog
from shared.settings import Settings

RECEIVE_MAXIMUM = 1000
"""Messages that the broker delivers without an acknowledgement; equal to the limit in mosquitto.conf."""
MAX_BATCH_BYTES = 2_000_000
"""Payload bytes that one batch decodes; a year of history is a hundred times as much."""
SESSION_EXPIRY_DAYS = 30
COMMAND_EXPIRY_SECONDS = 600
"""Session of a command: it outlives a restart of the broker."""
KEEPALIVE_SECONDS = 15
"""A hanging broker is disconnected after twice this time."""
RETRY_SECONDS = 5.0
"""Interval of attempts to publish what the broker refuses."""
LOG_INTERVAL_SECONDS = 60.0
REPLAY_DELAYS_SECONDS = (10.0, 60.0)
"""After a broker lost all sessions: when subscribers have reconnected, and when restarted ones have."""
WAITING_LOG_SECONDS = 10.0


class MqttBus:
    """One service's side of the broker."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        stored: Callable[[], Iterable[str]] = tuple,
        round_seconds: float = ROUND_SECONDS,
        temporary: bool = False,
    ) -> None:
        """Make the bus of a service; `stored` returns the sensors with stored readings.

        The session of a `temporary` bus is its own and soon expires: several commands may run at a time.
        """
        self._settings, self._name = settings, name
        self._registry, self._rejections = SensorRegistry(settings.sensors, stored), RejectionLimiter()
        self._introducing_types: tuple[type[Message], ...] = ()
        self._status_factory = StatusFactory(settings.site.name, name, settings.zone)
        self._own_topic = topic_of(self._status_factory.status("online"))
        self._inbox = Inbox()
        self._subscriptions: list[tuple[str, SubscribeOptions]] = []
        self._ready, self._subscribed = threading.Event(), False
        self._is_session_new = False
        self._publish_buffer = PublishBuffer()
        self._sending = threading.Lock()
        self._may_send = threading.Event()
        """Not set while a connection is established: new messages would overtake replayed ones."""
        self._may_send.set()
        self._problems: tuple[Problem, ...] | None = None
        self._last_retry = 0.0
        self._replay_times: list[float] = []
        """Times at which recent messages are published again for subscribers that were not connected."""
        self._last_error: tuple[str, float] = ("", 0.0)
        self._while_disconnected: Callable[[], None] = noop
        self._session_expiry = COMMAND_EXPIRY_SECONDS if temporary else SESSION_EXPIRY_DAYS * 86_400
        self._client_id = f"wvr-{name}-{secrets.token_hex(16)}" if temporary else client_id(name, settings)
        self._produces: tuple[type[Message], ...] = ()
        self._client = self._make_client()
        self._watchdog = Watchdog(
            name, self._client_id, self._on_watchdog_round, self._client.is_connected, round_seconds
        )

    @property
    def connections(self) -> int:
        """Number of the present connection to the broker; it increases with each connection."""
        return self._inbox.connection

    @property
    def is_connected(self) -> bool:
        """Return whether the broker is connected."""
        return self._client.is_connected()

    def open(self, service: Service, while_disconnected: Callable[[], None] = noop) -> None:
        """Connect and subscribe, however long that takes; call `while_disconnected` each second without the broker."""
        self._while_disconnected, self._produces = while_disconnected, service.produces
        if Reading in service.consumes:
            self._introducing_types = (Reading, HistoryBatch)
        topic_filters = subscription_filters(service.consumes, service.commands, self._settings.site.name)
        # QoS 0 for its own status: an acknowledgement would overtake those of the other messages.
        self._subscriptions = [
            *((topic, _options(topic, 1)) for topic in topic_filters),
            (self._own_topic, _options(self._own_topic, 0)),
        ]
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._session_expiry
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        broker = self._settings.broker
        self._client.connect_async(
            broker.host, broker.connect_port, KEEPALIVE_SECONDS, clean_start=False, properties=properties
        )
        self._client.loop_start()
        self._watchdog.start()
        last_logged = time.monotonic()
        while not self._ready.wait(1.0):
            self._watchdog.on_progress()
            self._call_while_disconnected()
            if time.monotonic() - last_logged >= WAITING_LOG_SECONDS:
                last_logged = time.monotonic()
                address = f"{broker.host}:{broker.connect_port}"
                reason = connection_error(broker)
                log(self._name, "broker_unreachable", logging.WARNING, broker=address, reason=reason)
        self._end_guessable_session()
        self._watchdog.on_progress()

    def receive(self, max_messages: int, wait_seconds: float) -> Sequence[Delivery]:
        decoded: list[tuple[Message, list[Packet]]] = []
        size = 0
        with suppress(queue.Empty):
            while len(decoded) < max_messages and size < MAX_BATCH_BYTES:
                packet = self._inbox.get(not decoded, wait_seconds)
                size += len(packet.raw.payload)
                if self._inbox.will_be_redelivered(packet):
                    continue
                if message := self._decode(packet.raw):
                    decoded.append((message, [packet]))
                elif decoded:
                    decoded[-1][1].append(packet)
                else:
                    self._acknowledge([packet])
        return [Delivery(message, partial(self._acknowledge, packets)) for message, packets in decoded]

    def forget(self, sensor: str) -> None:
        topics = retained_topics(self._produces, self._settings.site.name, sensor, self._name)
        while topics and not self._try_send([OutgoingMessage(topic, b"", retain=True) for topic in topics]):
            self._wait()

    def publish(self, message: Message) -> None:
        self._watchdog.on_progress()
        for admitted in self._rejections.admit(message) if isinstance(message, Rejected) else (message,):
            self._publish(admitted)

    def _publish(self, message: Message) -> None:
        payload, topic = encode(message), topic_of(message)
        outgoing = [OutgoingMessage(topic, payload, message.retained, is_command=isinstance(message, Command))]
        if isinstance(message, Anomaly) and not message.retained:
            outgoing.append(OutgoingMessage(topic, b"", retain=True))
        while not self._try_send(outgoing):
            self._wait()

    def publish_retained(self, topic: str, payload: bytes) -> None:
        """Publish a payload that is no message of the contract, such as a description for Home Assistant."""
        while not self._try_send([OutgoingMessage(topic, payload, retain=True)]):
            self._wait()

    def confirm(self) -> None:
        while not self._publish_buffer.wait_until_acked(1.0):
            self._wait()

    def heartbeat(self, problems: Sequence[Problem]) -> None:
        self._watchdog.on_progress()
        self._set_problems(problems)
        for summary in self._rejections.flush_summary():
            self._publish(summary)

    def close(self) -> None:
        self._watchdog.stop()
        self._client.publish(self._own_topic, encode(self._status_factory.status("stopping")), qos=1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=mqtt.MQTTv5, manual_ack=True
        )
        if authority := self._settings.broker.ca:
            client.tls_set_context(tls_context(authority))
        client.username_pw_set(self._name, broker_password(self._name, self._settings))
        # The will is written now. What remains of its expiry says later how long ago the broker published it.
        will = Properties(PacketTypes.WILLMESSAGE)
        will.MessageExpiryInterval = WILL_EXPIRY_SECONDS
        client.will_set(self._own_topic, encode(self._status_factory.status("offline")), 1, True, will)
        # The publish buffer has its own limit; paho's loses the order on a reconnect.
        client.max_inflight_messages_set(0)
        client.reconnect_delay_set(1, 5)
        client.suppress_exceptions = True
        client.enable_logger(_callback_errors(self._name))
        client.on_pre_connect, client.on_connect_fail = self._on_pre_connect, self._on_connect_fail
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message, client.on_publish = self._on_message, self._on_publish
        return client

    def _end_guessable_session(self) -> None:
        """End the session of a version whose client ids had no random part: the broker would fill its queue."""
        if self._is_session_new:
            with suppress(OSError, BrokerRefused):
                end_session(self._settings, f"wvr-{self._name}", self._name)

    def _try_send(self, outgoing: Sequence[OutgoingMessage]) -> bool:
        if self._publish_buffer.wait_for_room(1.0) and self._may_send.wait(1.0):
            with self._sending:
                if self._may_send.is_set():
                    self._send(outgoing)
                    return True
        return False

    def _send(self, messages: Sequence[OutgoingMessage]) -> None:
        for message in messages:
            self._publish_buffer.send(message, self._publish_to_client)

    def _publish_to_client(self, message: OutgoingMessage) -> int:
        return self._client.publish(message.topic, message.payload, qos=1, retain=message.retain).mid

    def _wait(self) -> None:
        """Set the status, and retry what the broker refused."""
        if self._publish_buffer.refusal:
            self._log_once_a_minute(
                "publish_refused", f"{self._publish_buffer.refusal.text.en}; ./wvr up writes its access list"
            )
        if self._publish_buffer.refusal or not self._client.is_connected():
            self._watchdog.on_progress()
            self._call_while_disconnected()
        self._set_problems((problem("waiting_for_broker"),))
        if time.monotonic() - self._last_retry >= RETRY_SECONDS:
            self._last_retry = time.monotonic()
            with self._sending:
                if self._may_send.is_set():
                    self._send(self._publish_buffer.take_refused())

    def _call_while_disconnected(self) -> None:
        """Call it without recursion: it may itself wait for the broker."""
        callback, self._while_disconnected = self._while_disconnected, noop
        try:
            callback()
        finally:
            self._while_disconnected = callback

    def _set_problems(self, problems: Sequence[Problem]) -> None:
        changed, self._problems = tuple(problems) != self._problems, tuple(problems)
        if changed:
            self._publish_status()

    def _on_watchdog_round(self) -> None:
        with self._sending:
            if self._may_send.is_set() and self._replay_times and time.monotonic() >= self._replay_times[0]:
                del self._replay_times[0]
                self._send(self._publish_buffer.messages_to_replay(include_unacked=True))
        self._publish_status()

    def _publish_status(self) -> None:
        """Publish the status; the service receives it too, which proves that the connection works."""
        if not self._client.is_connected() or not self._may_send.is_set():
            return
        seconds = self._watchdog.seconds_without_progress
        problems = (problem("busy", seconds=round(seconds)),) if seconds else self._problems or ()
        if refusal := self._publish_buffer.refusal:
            problems = (refusal, *problems)
        status = self._status_factory.status("online", len(self._inbox), problems)
        self._client.publish(self._own_topic, encode(status), qos=0, retain=True)

    def _acknowledge(self, packets: Sequence[Packet]) -> None:
        """Acknowledge in order of arrival, as MQTT requires; otherwise Mosquitto's in-flight window breaks."""
        with self._sending:
            for packet in packets:
                if self._inbox.may_acknowledge(packet):
                    self._client.ack(packet.raw.mid, packet.raw.qos)

    def _decode(self, raw_message: RawMessage) -> Message | None:
        """Decode a message; None if it is empty, or invalid and sent to `rejected`."""
        if not raw_message.payload:
            return None
        try:
            return self._check_sensor(decode(raw_message.topic, raw_message.payload))
        except ContractError as error:
            log(self._name, "message_rejected", logging.WARNING, topic=raw_message.topic, reason=str(error))
            raw = raw_message.payload[:4000].decode("utf-8", "replace")
            self.publish(Rejected(self._settings.site.name, raw_message.topic[:4000], error.text, raw[:4000]))
            return None

    def _check_sensor(self, message: Message) -> Message:
        """Reject messages of unknown sensors; only readings, in services that consume them, introduce a sensor."""
        if sensor := getattr(message, "sensor", None):
            may_be_new = not self._introducing_types or isinstance(message, self._introducing_types)
            if reason := self._registry.rejection_reason(sensor, may_be_new):
                raise ContractError(reason)
        return message

    def _on_pre_connect(self, client: mqtt.Client, _: Any) -> None:
        with self._sending:
            self._may_send.clear()
            self._inbox.connecting()
        with suppress(SystemExit, OSError, UnicodeError):
            client.username_pw_set(self._name, broker_password(self._name, self._settings))

    def _on_connect_fail(self, _: mqtt.Client, __: Any) -> None:
        self._may_send.set()

    def _on_connect(self, client: mqtt.Client, _: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, __: Any) -> None:
        if reason.is_failure:
            self._log_once_a_minute(
                "login_refused",
                f"the broker refuses the user {self._name}: {reason}; ./wvr up creates users and passwords",
            )
            return
        if not flags.session_present:
            self._is_session_new = True
            self._replay_times = [time.monotonic() + seconds for seconds in REPLAY_DELAYS_SECONDS]
        self._inbox.connected(flags.session_present)
        client.subscribe(self._subscriptions)
        self._send(self._publish_buffer.messages_to_replay())

    def _on_disconnect(self, _: mqtt.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if self._may_send.is_set() and self._client.is_connected():
            log(self._name, "broker_disconnected", logging.WARNING, reason=str(reason))
        self._may_send.set()

    def _on_subscribe(self, _: Any, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        answers = zip(self._subscriptions, reasons, strict=False)
        refused = [f"{topic}: {reason}" for (topic, _), reason in answers if reason.is_failure]
        if refused:
            self._log_once_a_minute(
                "subscription_refused",
                f"the broker refuses to deliver {', '.join(refused)}; ./wvr up writes its access list",
            )
        self._subscribed = not refused
        self._may_send.set()
        self._ready.set()
        self._publish_status()

    def _on_message(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic != self._own_topic:
            if self._subscribed:
                self._watchdog.on_message()
            self._inbox.put(RawMessage(message.topic, bytes(message.payload), message.mid, message.qos))
            return
        client.ack(message.mid, message.qos)  # only in a session of an older version, which subscribed at QoS 1
        if self._subscribed and (status := self._own_status(message)):
            self._watchdog.on_message()
            if self._problems is not None and not self._watchdog.seconds_without_progress:
                write_heartbeat(heartbeat_file(), status)

    def _own_status(self, message: mqtt.MQTTMessage) -> Status | None:
        """Return a status that this process published, else None."""
        try:
            status = decode(message.topic, message.payload)
        except ContractError:
            return None
        return status if isinstance(status, Status) and status.since == self._status_factory.since else None

    def _on_publish(self, _: Any, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
        self._publish_buffer.on_ack(mid, str(reason) if reason.is_failure else "")

    def _log_once_a_minute(self, event: str, reason: str) -> None:
        """Log an error once a minute while it lasts."""
        last_reason, at = self._last_error
        if reason != last_reason or time.monotonic() - at >= LOG_INTERVAL_SECONDS:
            self._last_error = (reason, time.monotonic())
            log(self._name, event, logging.ERROR, reason=reason)


def _options(topic: str, qos: int) -> SubscribeOptions:
    # A retained command would be carried out again with each connection.
    is_command = message_type_of(topic) is Command
    handling = SubscribeOptions.RETAIN_DO_NOT_SEND if is_command else SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
    return SubscribeOptions(qos=qos, retainHandling=handling)


def _callback_errors(name: str) -> logging.Logger:
    """Return a logger for exceptions in callbacks; paho's other messages repeat what on_disconnect logs."""
    logger = logging.getLogger(name).getChild("network")
    logger.addFilter(lambda record: "exception" in record.msg)
    return logger
