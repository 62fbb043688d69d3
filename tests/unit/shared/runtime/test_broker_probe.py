"""A short session with a real broker disturbs no other, and returns all retained messages."""

from __future__ import annotations

from cli.broker_client import Operator
from shared.runtime.broker_probe import broker_session, retained_messages
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings


def test_retained_messages_are_returned(settings: Settings) -> None:
    topics = [f"wvr/v1/any/{number:03}/verdict" for number in range(300)]
    with broker_session(settings) as visitor:
        for topic in topics:
            visitor.publish(topic, topic.encode(), retain=True)
        visitor.publish("wvr/v1/any/tick", b"not retained")
    messages = retained_messages(settings, "wvr/v1/+/+/verdict", "wvr/v1/+/tick", "$SYS/broker/version")
    assert messages.pop("$SYS/broker/version").startswith(b"mosquitto version 2.")
    assert messages == {topic: topic.encode() for topic in topics}


def test_concurrent_command_keeps_its_connection(settings: Settings) -> None:
    bus = MqttBus("operator", settings)
    bus.open(Operator())
    connections = bus.connections
    retained_messages(settings, "wvr/v1/#")
    bus.heartbeat(())
    bus.confirm()
    assert (bus._client.is_connected(), bus.connections) == (True, connections)
    bus.close()
