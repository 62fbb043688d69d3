"""How many sensors come in, and how much is told of what was refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import paho.mqtt.publish as publish
import pytest

from shared.contract.codec import ContractError, decode, encode
from shared.contract.messages import MAX_SENSORS, HistoryBatch, Message, Prediction, Reading, Rejected, Verdict
from shared.contract.service import Unavailable
from shared.contract.topics import topic_of
from shared.runtime.bus import Delivery
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.rejection_limiter import MAX_PER_MINUTE, RejectionLimiter
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Sensor, Settings
from tests.conftest import Mosquitto
from tests.unit.factories import prediction, reading, verdict
from tests.unit.shared.runtime.test_buses import FakeListener, receive_messages

BAD = Rejected("site1", "a.csv:7", "no number", "x")


def test_the_first_names_are_taken_and_more_are_refused_with_what_to_do() -> None:
    register = SensorRegistry()
    refusals = [register.rejection_reason(f"s{number}") for number in range(MAX_SENSORS + 1)]
    assert refusals[:-1] == [""] * MAX_SENSORS
    assert refusals[-1] == "more than 64 sensors; to choose, name those of this site in site.toml: [sensors.…]"
    assert register.rejection_reason("s0") == ""


def test_with_names_in_site_toml_only_those_are_taken() -> None:
    register = SensorRegistry({"001": Sensor()})
    assert register.rejection_reason("001") == ""
    assert register.rejection_reason("002") == "site.toml has no [sensors.002]"


def test_stored_sensors_come_before_new_ones_also_those_stored_meanwhile() -> None:
    stored = [f"old{number}" for number in range(MAX_SENSORS - 1)]
    register = SensorRegistry(stored=lambda: stored)
    assert register.rejection_reason("new", may_be_new=False) == "no reading of a sensor new has come"
    stored.append("imported")
    assert register.rejection_reason("new").startswith("more than")
    assert {register.rejection_reason(name) for name in stored} == {""}


def test_without_a_database_sensors_are_taken_all_the_same() -> None:
    def locked() -> list[str]:
        raise Unavailable("locked")

    assert SensorRegistry(stored=locked).rejection_reason("001") == ""


@dataclass
class FakeClock:
    """Seconds, by hand."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_flood_of_refusals_is_told_in_part_and_counted_when_its_minute_is_over() -> None:
    clock = FakeClock()
    complaints = RejectionLimiter(clock)
    assert sum(len(list(complaints.admit(BAD))) for _ in range(1000)) == MAX_PER_MINUTE
    clock.seconds = 61
    (told,) = complaints.flush_summary()
    assert told.reason == f"{1000 - MAX_PER_MINUTE} more were refused and not told; the last: no number"
    assert list(complaints.flush_summary()) == []
    assert list(complaints.admit(BAD)) == [BAD]


class FakeConsumer(FakeListener):
    name: ClassVar[str] = "judge"
    consumes: ClassVar[tuple[type[Message], ...]] = (Reading, HistoryBatch, Prediction, Verdict)
    commands: ClassVar[tuple[str, ...]] = ()


class FakeRejectedConsumer(FakeListener):
    name: ClassVar[str] = "complainee"
    consumes: ClassVar[tuple[type[Message], ...]] = (Rejected,)
    commands: ClassVar[tuple[str, ...]] = ()


def test_strangers_and_retained_junk_at_a_real_broker_fill_nothing(settings: Settings, mosquitto: Mosquitto) -> None:
    junk: list[tuple[str, bytes | str]] = [
        ("wvr/v1/site1/001/prediction", b"\xff" * 1000),
        ("wvr/v1/site1/001/verdict", "[" * 100_000),
        ("wvr/v1/site1/nobody/prediction", encode(prediction(0, "nobody"))),
    ]
    at_broker = {"hostname": "127.0.0.1", "port": mosquitto.port}
    publish.multiple([(topic, payload, 1, True) for topic, payload in junk], **at_broker)  # type: ignore[arg-type]
    watcher, judge = MqttBus("complainee", settings), MqttBus("judge", settings)
    watcher.open(FakeRejectedConsumer())
    judge.open(FakeConsumer())
    strangers = [reading(0, sensor=f"s{number}") for number in range(200)]
    last = [reading(1, sensor="s0"), verdict(1, sensor="s0")]
    publish.multiple([(topic_of(said), encode(said), 1, False) for said in (*strangers, *last)], **at_broker)  # type: ignore[arg-type]
    came = receive_messages(judge, MAX_SENSORS + 2)
    assert came == [*strangers[:MAX_SENSORS], *last]
    told = [message for message in receive_messages(watcher, MAX_PER_MINUTE) if isinstance(message, Rejected)]
    assert "no reading of a sensor nobody has come" in [one.reason for one in told[:3]]
    assert all(one.reason.startswith("more than 64 sensors") for one in told[3:])
    assert not watcher.receive(10, 0.5)
    judge.close()
    watcher.close()


def test_acknowledging_a_message_twice_does_no_harm(settings: Settings, mosquitto: Mosquitto) -> None:
    judge = MqttBus("judge", settings)
    judge.open(FakeConsumer())
    for minute in (0, 0, 1):
        said = reading(minute)
        publish.single(topic_of(said), encode(said), qos=1, hostname="127.0.0.1", port=mosquitto.port)
    deliveries: list[Delivery] = []
    while len(deliveries) < 3:
        deliveries += judge.receive(3, 5.0)
    for delivery in (*deliveries, *deliveries):
        delivery.acknowledge()
    publish.single(topic_of(reading(2)), encode(reading(2)), qos=1, hostname="127.0.0.1", port=mosquitto.port)
    assert receive_messages(judge, 1) == [reading(2)]
    judge.close()


def test_a_payload_tells_at_most_twenty_of_its_errors() -> None:
    minutes = [[datetime(2026, 1, 1, tzinfo=UTC).isoformat(), "wet", "wet"]] * 5000
    payload = json.dumps({"site": "site1", "sensor": "001", "source": "x", "part": 1, "of": 1, "minutes": minutes})
    with pytest.raises(ContractError) as refused:
        decode("wvr/v1/site1/001/history", payload.encode())
    assert str(refused.value).count("minutes.") <= 20
