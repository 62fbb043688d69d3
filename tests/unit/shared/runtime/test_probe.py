"""A short visit to a real broker disturbs nobody, and sees all that is retained."""

from __future__ import annotations

from cli.broker_client import Operator
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.probe import kept, visit
from shared.settings import Settings


def test_all_that_is_retained_is_seen(settings: Settings) -> None:
    topics = [f"wvr/v1/any/{number:03}/verdict" for number in range(300)]
    with visit(settings) as visitor:
        for topic in topics:
            visitor.say(topic, topic.encode(), retain=True)
        visitor.say("wvr/v1/any/tick", b"not retained")
    found = kept(settings, "wvr/v1/+/+/verdict", "wvr/v1/+/tick", "$SYS/broker/version")
    assert found.pop("$SYS/broker/version").startswith(b"mosquitto version 2.")
    assert found == {topic: topic.encode() for topic in topics}


def test_a_running_command_keeps_its_connection(settings: Settings) -> None:
    bus = MqttBus("operator", settings)
    bus.open(Operator())
    connections = bus.connections
    kept(settings, "wvr/v1/#")
    bus.beat("")
    bus.confirm()
    assert (bus._client.is_connected(), bus.connections) == (True, connections)
    bus.close()
