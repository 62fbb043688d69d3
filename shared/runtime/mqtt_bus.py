"""The live bus: MQTT 5 with QoS 1 through a local Mosquitto."""

from __future__ import annotations

import logging
import queue
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
from shared.contract.messages import Anomaly, HistoryBatch, Message, Reading, Rejected, Status
from shared.contract.topics import subscription_filters, topic_of
from shared.runtime.bus import Delivery, nothing
from shared.runtime.complaints import Complaints
from shared.runtime.health import Presence, heartbeat_file
from shared.runtime.inbox import Content, Inbox, Packet
from shared.runtime.log import log
from shared.runtime.outbox import Outbox, Sent
from shared.runtime.reach import hindrance, trusting
from shared.runtime.register import Register
from shared.runtime.service import Service
from shared.runtime.watchdog import ROUND_SECONDS, Watchdog
from shared.settings import Settings

IN_FLIGHT = 1000
"""Messages that the broker delivers without an acknowledgement; mosquitto.conf allows as many."""
MOST_BYTES = 2_000_000
"""Payload that one batch unpacks at the most; a year of history would weigh a hundred times as much."""
SESSION_DAYS = 30
KEEPALIVE = 15
"""Seconds; a broker that hangs is left after twice as many."""
RETRY_SECONDS = 5.0
"""Between two tries to publish what the broker refuses."""
COMPLAIN_SECONDS = 60.0
COME_BACK_SECONDS = (10.0, 60.0)
"""After a broker has forgotten everybody: when the listeners have come back, and those that were started anew."""
WAITING, WAITING_SECONDS = "waiting for the broker", 10.0


class MqttBus:
    """One service's side of the broker."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        stored: Callable[[], Iterable[str]] = tuple,
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        """`stored`: the sensors that have readings."""
        self._settings, self._name = settings, name
        self._register, self._complaints = Register(settings.sensors, stored), Complaints()
        self._introducing: tuple[type[Message], ...] = ()
        self._presence = Presence(settings.site.name, name, settings.zone)
        self._own_topic = topic_of(self._presence.status("online"))
        self._inbox = Inbox()
        self._subscriptions: list[tuple[str, SubscribeOptions]] = []
        self._ready, self._hears = threading.Event(), False
        self._outbox = Outbox()
        self._sending = threading.Lock()
        self._calm = threading.Event()
        """Not set while a connection is made: what is said then would overtake what is said again."""
        self._calm.set()
        self._note: str | None = None
        self._retried = 0.0
        self._repeats: list[float] = []
        """When all is said again to those who were not there."""
        self._complaint: tuple[str, float] = ("", 0.0)
        self._meanwhile: Callable[[], None] = nothing
        self._client = self._make_client()
        self._watchdog = Watchdog(name, self._round, self._client.is_connected, round_seconds)

    @property
    def connections(self) -> int:
        """Number of the broker's connection that now delivers; each new one has a greater one."""
        return self._inbox.connection

    def open(self, service: Service, meanwhile: Callable[[], None] = nothing) -> None:
        """Connects, however long that takes, and subscribes; `meanwhile` is called each second without the broker."""
        self._meanwhile = meanwhile
        if Reading in service.consumes:
            self._introducing = (Reading, HistoryBatch)
        wanted = subscription_filters(service.consumes, service.commands, self._settings.site.name)
        # What it says of itself asks for no acknowledgement, which would overtake those of the work.
        self._subscriptions = [*((topic, _at_qos(1)) for topic in wanted), (self._own_topic, _at_qos(0))]
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_DAYS * 86_400
        properties.ReceiveMaximum = IN_FLIGHT
        broker = self._settings.broker
        self._client.connect_async(
            broker.host, broker.connect_port, KEEPALIVE, clean_start=False, properties=properties
        )
        self._client.loop_start()
        self._watchdog.start()
        told = time.monotonic()
        while not self._ready.wait(1.0):
            self._watchdog.turned()
            self._do_meanwhile()
            if time.monotonic() - told >= WAITING_SECONDS:
                told = time.monotonic()
                where = f"{broker.host}:{broker.connect_port}"
                log(self._name, WAITING, logging.WARNING, at=where, reason=hindrance(broker))
        self._watchdog.turned()

    def receive(self, most: int, wait: float) -> Sequence[Delivery]:
        read: list[tuple[Message, list[Packet]]] = []
        size = 0
        with suppress(queue.Empty):
            while len(read) < most and size < MOST_BYTES:
                packet = self._inbox.get(not read, wait)
                size += len(packet.content.payload)
                if self._inbox.comes_again(packet):
                    continue
                if message := self._read(packet.content):
                    read.append((message, [packet]))
                elif read:
                    read[-1][1].append(packet)
                else:
                    self._acknowledge([packet])
        return [Delivery(message, partial(self._acknowledge, packets)) for message, packets in read]

    def publish(self, message: Message) -> None:
        self._watchdog.turned()
        for passed in self._complaints.take(message) if isinstance(message, Rejected) else (message,):
            self._publish(passed)

    def _publish(self, message: Message) -> None:
        payload, topic = encode(message), topic_of(message)
        said = [Sent(topic, payload, message.retained)]
        if isinstance(message, Anomaly) and not message.retained:
            said.append(Sent(topic, b"", retain=True))
        while not self._has_sent(said):
            self._wait()

    def confirm(self) -> None:
        while not self._outbox.is_safe(1.0):
            self._wait()

    def beat(self, note: str) -> None:
        self._watchdog.turned()
        self._tell(note)
        for swallowed in self._complaints.due():
            self._publish(swallowed)

    def close(self) -> None:
        self._watchdog.stop()
        self._client.publish(self._own_topic, encode(self._presence.status("stopping")), qos=1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"wvr-{self._name}", protocol=mqtt.MQTTv5, manual_ack=True
        )
        if authority := self._settings.broker.ca:
            client.tls_set_context(trusting(authority))
        client.username_pw_set(self._name, broker_password(self._name, self._settings))
        client.will_set(topic_of(self._presence.status("offline")), encode(self._presence.status("offline")), 1, True)
        client.max_inflight_messages_set(0)  # the outbox has its own limit; paho's loses the order when it reconnects
        client.reconnect_delay_set(1, 5)
        client.suppress_exceptions = True
        client.enable_logger(_callback_errors(self._name))
        client.on_pre_connect, client.on_connect_fail = self._on_pre_connect, self._on_connect_fail
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message, client.on_publish = self._on_message, self._on_publish
        return client

    def _has_sent(self, said: Sequence[Sent]) -> bool:
        if self._outbox.has_room(1.0) and self._calm.wait(1.0):
            with self._sending:
                if self._calm.is_set():
                    self._say(said)
                    return True
        return False

    def _say(self, messages: Sequence[Sent]) -> None:
        for message in messages:
            self._outbox.send(message, self._hand_over)

    def _hand_over(self, message: Sent) -> int:
        return self._client.publish(message.topic, message.payload, qos=1, retain=message.retain).mid

    def _wait(self) -> None:
        """Tells that the broker is waited for, and tries once more what it refused."""
        if self._outbox.refusal:
            self._complain(f"{self._outbox.refusal}; ./wvr up makes its access list")
        if self._outbox.refusal or not self._client.is_connected():
            self._watchdog.turned()
            self._do_meanwhile()
        self._tell(WAITING)
        if time.monotonic() - self._retried >= RETRY_SECONDS:
            self._retried = time.monotonic()
            with self._sending:
                if self._calm.is_set():
                    self._say(self._outbox.refused())

    def _do_meanwhile(self) -> None:
        """Not within itself: what is done meanwhile may wait for the broker, too."""
        doing, self._meanwhile = self._meanwhile, nothing
        try:
            doing()
        finally:
            self._meanwhile = doing

    def _tell(self, note: str) -> None:
        changed, self._note = note != self._note, note
        if changed:
            self._report()

    def _round(self) -> None:
        with self._sending:
            if self._calm.is_set() and self._repeats and time.monotonic() >= self._repeats[0]:
                del self._repeats[0]
                self._say(self._outbox.again(with_open=True))
        self._report()

    def _report(self) -> None:
        """Publishes how the service is. It should hear that itself."""
        if not self._client.is_connected() or not self._calm.is_set():
            return
        busy = f"busy for {self._watchdog.busy_seconds:.0f} s" if self._watchdog.busy_seconds else ""
        note = "; ".join(filter(None, (self._outbox.refusal, busy or self._note)))
        status = self._presence.status("online", len(self._inbox), note)
        self._client.publish(self._own_topic, encode(status), qos=0, retain=True)

    def _acknowledge(self, packets: Sequence[Packet]) -> None:
        """In the order in which they came, as MQTT wants it: Mosquitto's window of messages on their way slips else."""
        with self._sending:
            for packet in packets:
                if self._inbox.may_acknowledge(packet):
                    self._client.ack(packet.content.mid, packet.content.qos)

    def _read(self, content: Content) -> Message | None:
        """The message in it; None when it is empty, or can't be read and goes to `rejected`."""
        if not content.payload:
            return None
        try:
            return self._admit(decode(content.topic, content.payload))
        except ContractError as error:
            log(self._name, "rejected a payload", logging.WARNING, topic=content.topic, reason=str(error))
            raw = content.payload[:4000].decode("utf-8", "replace")
            self.publish(Rejected(self._settings.site.name, content.topic[:4000], str(error)[:4000], raw[:4000]))
            return None

    def _admit(self, message: Message) -> Message:
        """Refuses what belongs to none of the site's sensors: only readings, where they are heard, make one known."""
        if sensor := getattr(message, "sensor", None):
            may_be_new = not self._introducing or isinstance(message, self._introducing)
            if reason := self._register.refusal(sensor, may_be_new):
                raise ContractError(reason)
        return message

    def _on_pre_connect(self, client: mqtt.Client, _: Any) -> None:
        with self._sending:
            self._calm.clear()
            self._inbox.connecting()
        with suppress(SystemExit, OSError, UnicodeError):
            client.username_pw_set(self._name, broker_password(self._name, self._settings))

    def _on_connect_fail(self, _: mqtt.Client, __: Any) -> None:
        self._calm.set()

    def _on_connect(self, client: mqtt.Client, _: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, __: Any) -> None:
        if reason.is_failure:
            self._complain(f"the broker refuses the user {self._name}: {reason}; ./wvr up makes users and passwords")
            return
        if not flags.session_present:
            self._repeats = [time.monotonic() + seconds for seconds in COME_BACK_SECONDS]
        self._inbox.connected(flags.session_present)
        client.subscribe(self._subscriptions)
        self._say(self._outbox.again())

    def _on_disconnect(self, _: mqtt.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        if self._calm.is_set() and self._client.is_connected():
            log(self._name, "lost the broker", logging.WARNING, reason=str(reason))
        self._calm.set()

    def _on_subscribe(self, _: Any, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        answers = zip(self._subscriptions, reasons, strict=False)
        refused = [f"{topic}: {reason}" for (topic, _), reason in answers if reason.is_failure]
        if refused:
            self._complain(f"the broker refuses to deliver {', '.join(refused)}; ./wvr up makes its access list")
        self._hears = not refused
        self._calm.set()
        self._ready.set()
        self._report()

    def _on_message(self, client: mqtt.Client, _: Any, content: mqtt.MQTTMessage) -> None:
        if content.topic != self._own_topic:
            if self._hears:
                self._watchdog.heard()
            self._inbox.put(Content(content.topic, bytes(content.payload), content.mid, content.qos))
            return
        client.ack(content.mid, content.qos)  # only in a session from before it was heard at QoS 0
        if self._hears and self._is_own_beat(content):
            self._watchdog.heard()
            if self._note is not None and not self._watchdog.busy_seconds:
                heartbeat_file().touch()

    def _is_own_beat(self, content: mqtt.MQTTMessage) -> bool:
        try:
            status = decode(content.topic, content.payload)
        except ContractError:
            return False
        return isinstance(status, Status) and status.since == self._presence.since

    def _on_publish(self, _: Any, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
        self._outbox.answered(mid, str(reason) if reason.is_failure else "")

    def _complain(self, text: str) -> None:
        """Says on stderr what is wrong, once a minute while it lasts."""
        told, at = self._complaint
        if text != told or time.monotonic() - at >= COMPLAIN_SECONDS:
            self._complaint = (text, time.monotonic())
            log(self._name, text, logging.ERROR)


def _at_qos(qos: int) -> SubscribeOptions:
    return SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)


def _callback_errors(name: str) -> logging.Logger:
    """What would be silent: an exception in a callback. paho's own words say nothing that on_disconnect doesn't."""
    logger = logging.getLogger(name).getChild("network")
    logger.addFilter(lambda record: "exception" in record.msg)
    return logger


def broker_password(name: str, settings: Settings) -> str:
    """Of a broker user. Raises SystemExit when there is none, OSError when it may not be read."""
    folder = settings.secrets or settings.data / "secrets" / name
    try:
        return (folder / "password").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SystemExit(f"{folder / 'password'}: the broker password of {name!r} is missing; run ./wvr up") from None
