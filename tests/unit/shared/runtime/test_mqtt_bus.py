"""Live bus only: reconnects and invalid payloads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import paho.mqtt.publish as publish
import pytest

from shared.contract.codec import encode
from shared.contract.messages import Command, Message, Progress, Rejected, Tick
from shared.contract.texts import technical
from shared.contract.topics import topic_of
from shared.runtime.broker_probe import broker_session
from shared.runtime.health import StatusFactory, heartbeat_age, heartbeat_file
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings
from tests.conftest import Mosquitto
from tests.polling import wait_for
from tests.unit.shared.runtime.test_buses import FakeListener, FakePublisher, receive_messages

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class RejectedListener(FakeListener):
    name: ClassVar[str] = "rejected"
    consumes: ClassVar[tuple[type[Message], ...]] = (Rejected,)


def test_invalid_payload_is_rejected_and_the_next_message_arrives(settings: Settings, mosquitto: Mosquitto) -> None:
    listener, watcher = MqttBus("listener", settings), MqttBus("rejected", settings)
    listener.open(FakeListener())
    watcher.open(RejectedListener())
    bad = json.dumps({"site": "site1", "at": "2026-01-01T12:00:00"})
    for payload in ("{", bad, '{"site": "site1", "at": "2026-01-01T12:00:00+09:00", "more": 1}'):
        publish.single("wvr/v1/site1/tick", payload, qos=1, hostname="127.0.0.1", port=mosquitto.port)
    assert receive_messages(listener, 1) == [Tick("site1", datetime.fromisoformat("2026-01-01T12:00:00+09:00"))]
    reasons = [message.reason.en for message in receive_messages(watcher, 2) if isinstance(message, Rejected)]
    assert "offset" in reasons[1]
    listener.close()
    watcher.close()


class CommandListener(FakeListener):
    name: ClassVar[str] = "trainer"
    consumes: ClassVar[tuple[type[Message], ...]] = (Tick, Command)
    commands: ClassVar[tuple[str, ...]] = ("train",)


def test_retained_command_is_ignored_at_each_connection(settings: Settings, mosquitto: Mosquitto) -> None:
    retained, direct = Command("site1", "train", "t1", {"sensor": "001"}), Command("site1", "train", "t2", {})
    publish.single(topic_of(retained), encode(retained), 1, True, "127.0.0.1", mosquitto.port)
    trainer = MqttBus("trainer", settings)
    trainer.open(CommandListener())
    publish.single(topic_of(direct), encode(direct), 1, False, "127.0.0.1", mosquitto.port)
    assert receive_messages(trainer, 1) == [direct]
    mosquitto.stop()
    mosquitto.start()
    publish.single("wvr/v1/site1/tick", encode(Tick("site1", NOON)), 1, False, "127.0.0.1", mosquitto.port)
    assert [message for message in receive_messages(trainer, 1) if isinstance(message, Command)] == []
    trainer.close()


def test_session_of_the_old_client_id_is_ended_and_cannot_be_taken_over(settings: Settings) -> None:
    def has_old_session() -> bool:
        with broker_session(settings, "wvr-listener", 600, clean_start=False) as session:
            return session.session_present

    assert [has_old_session(), has_old_session()] == [False, True]
    listener, speaker = MqttBus("listener", settings), MqttBus("speaker", settings)
    listener.open(FakeListener())
    speaker.open(FakePublisher())
    assert not has_old_session()
    speaker.publish(Tick("site1", NOON))
    assert receive_messages(listener, 1) == [Tick("site1", NOON)]
    assert listener.connections == 1
    for bus in (listener, speaker):
        bus.close()


def test_service_continues_after_the_broker_was_away(settings: Settings, mosquitto: Mosquitto) -> None:
    listener, speaker = MqttBus("listener", settings), MqttBus("speaker", settings)
    listener.open(FakeListener())
    speaker.open(FakePublisher())
    speaker.publish(Progress(site="site1", at=NOON, job="training", step=1, of=2, eta=None, text=technical("epoch")))
    speaker.confirm()
    assert len(receive_messages(listener, 1)) == 1
    mosquitto.stop()
    ticks = [Tick("site1", NOON + timedelta(minutes=minute)) for minute in range(3)]
    for tick in ticks:
        speaker.publish(tick)
    mosquitto.start()
    speaker.confirm()
    messages: list[Message] = []
    while not set(ticks) <= {message for message in messages if isinstance(message, Tick)}:
        messages.extend(receive_messages(listener, 1))
    listener.close()
    speaker.close()


def test_heartbeat_is_touched_after_a_round_trip_through_the_broker(settings: Settings) -> None:
    bus = MqttBus("listener", settings)
    bus.open(FakeListener())
    assert heartbeat_age(heartbeat_file()) is None
    bus.heartbeat(())
    wait_for(lambda: heartbeat_age(heartbeat_file()) is not None, what="heartbeat")
    bus.close()


def test_messages_are_acknowledged_in_order_of_arrival(
    settings: Settings, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = MqttBus("listener", settings)
    bus.open(FakeListener())
    acknowledged: list[int] = []

    def spy(mid: int, qos: int) -> None:
        acknowledged.extend([mid] * qos)
        paho_ack(mid, qos)

    paho_ack = bus._client.ack
    monkeypatch.setattr(bus._client, "ack", spy)
    ticks = [Tick("site1", NOON + timedelta(minutes=minute)) for minute in range(3)]
    own = topic_of(StatusFactory("site1", "listener", settings.zone).status("offline"))
    outgoing: list[tuple[str, bytes | str]] = [(topic_of(tick), encode(tick)) for tick in ticks]
    outgoing[1:1] = [(own, "of the run before"), (topic_of(ticks[0]), "junk"), (topic_of(ticks[0]), b"")]
    for topic, payload in outgoing:
        publish.single(topic, payload, qos=1, hostname="127.0.0.1", port=mosquitto.port)
    wait_for(lambda: len(bus._inbox) == 5, what="all but its own")
    deliveries = bus.receive(10, 5.0)
    assert [delivery.message for delivery in deliveries] == ticks
    assert acknowledged == []
    for delivery in deliveries:
        delivery.acknowledge()
    assert acknowledged == [1, 2, 3, 4, 5]
    bus.close()
