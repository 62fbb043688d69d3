"""A short visit to a real broker disturbs nobody, and sees all that is retained."""

from __future__ import annotations

from cli.broker_client import Operator
from shared.runtime.broker_probe import broker_session, retained_messages
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings


def test_all_that_is_retained_is_seen(settings: Settings) -> None:
    topics = [f"wvr/v1/any/{number:03}/verdict" for number in range(300)]
    with broker_session(settings) as visitor:
        for topic in topics:
            visitor.publish(topic, topic.encode(), retain=True)
        visitor.publish("wvr/v1/any/tick", b"not retained")
    found = retained_messages(settings, "wvr/v1/+/+/verdict", "wvr/v1/+/tick", "$SYS/broker/version")
    assert found.pop("$SYS/broker/version").startswith(b"mosquitto version 2.")
    assert found == {topic: topic.encode() for topic in topics}


def test_a_running_command_keeps_its_connection(settings: Settings) -> None:
    bus = MqttBus("operator", settings)
    bus.open(Operator())
    connections = bus.connections
    retained_messages(settings, "wvr/v1/#")
    bus.heartbeat("")
    bus.confirm()
    assert (bus._client.is_connected(), bus.connections) == (True, connections)
    bus.close()
