"""Limits on the number of sensors and of published rejections."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import paho.mqtt.publish as publish
import pytest

from shared.contract.codec import ContractError, decode, encode
from shared.contract.messages import (
    MAX_SENSORS,
    HistoryBatch,
    LocalizedText,
    Message,
    Prediction,
    Reading,
    Rejected,
    Verdict,
)
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.contract.topics import topic_of
from shared.runtime.bus import Delivery
from shared.runtime.mqtt_bus import MqttBus
from shared.runtime.rejection_limiter import MAX_PER_MINUTE, RejectionLimiter
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings
from shared.settings.sections import Sensor
from tests.conftest import Mosquitto
from tests.unit.factories import prediction, reading, verdict
from tests.unit.shared.runtime.test_buses import FakeListener, receive_messages

BAD = Rejected("site1", "a.csv:7", technical("no number"), "x")


def english(text: LocalizedText | None) -> str:
    """Return the English text, empty for none."""
    return text.en if text else ""


def test_first_sensors_are_accepted_and_more_are_rejected_with_advice() -> None:
    register = SensorRegistry()
    refusals = [register.rejection_reason(f"s{number}") for number in range(MAX_SENSORS + 1)]
    assert refusals[:-1] == [None] * MAX_SENSORS
    assert refusals[-1]
    assert refusals[-1].en == "more than 64 sensors; list those of this site in site.toml as [sensors.NAME]"
    assert register.rejection_reason("s0") is None


def test_only_sensors_in_site_toml_are_accepted() -> None:
    register = SensorRegistry({"001": Sensor()})
    assert register.rejection_reason("001") is None
    assert english(register.rejection_reason("002")) == "site.toml has no [sensors.002]"


def test_stored_sensors_come_before_new_ones() -> None:
    stored = [f"old{number}" for number in range(MAX_SENSORS - 1)]
    register = SensorRegistry(stored=lambda: stored)
    assert english(register.rejection_reason("new", may_be_new=False)) == "unknown sensor new: it has no readings"
    stored.append("imported")
    assert english(register.rejection_reason("new")).startswith("more than")
    assert {register.rejection_reason(name) for name in stored} == {None}


def test_sensors_are_accepted_without_a_database() -> None:
    def locked() -> list[str]:
        raise Unavailable(problem("database_locked"))

    assert SensorRegistry(stored=locked).rejection_reason("001") is None


@dataclass
class FakeClock:
    """A settable clock, in seconds."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_flood_of_rejections_is_limited_and_counted() -> None:
    clock = FakeClock()
    limiter = RejectionLimiter(clock)
    assert sum(len(list(limiter.admit(BAD))) for _ in range(1000)) == MAX_PER_MINUTE
    clock.seconds = 61
    (summary,) = limiter.flush_summary()
    assert (
        summary.reason.en == f"{1000 - MAX_PER_MINUTE} more messages were rejected in this minute; the last: no number"
    )
    assert list(limiter.flush_summary()) == []
    assert list(limiter.admit(BAD)) == [BAD]


class FakeConsumer(FakeListener):
    name: ClassVar[str] = "judge"
    consumes: ClassVar[tuple[type[Message], ...]] = (Reading, HistoryBatch, Prediction, Verdict)
    commands: ClassVar[tuple[str, ...]] = ()


class FakeRejectedConsumer(FakeListener):
    name: ClassVar[str] = "complainee"
    consumes: ClassVar[tuple[type[Message], ...]] = (Rejected,)
    commands: ClassVar[tuple[str, ...]] = ()


def test_unknown_sensors_and_retained_junk_are_rejected(settings: Settings, mosquitto: Mosquitto) -> None:
    junk: list[tuple[str, bytes | str]] = [
        ("wvr/v1/site1/001/prediction", b"\xff" * 1000),
        ("wvr/v1/site1/001/verdict", "[" * 100_000),
        ("wvr/v1/site1/nobody/prediction", encode(prediction(0, "nobody"))),
    ]
    at_broker = {"hostname": "127.0.0.1", "port": mosquitto.port}
    publish.multiple([(topic, payload, 1, True) for topic, payload in junk], **at_broker)  # type: ignore[arg-type]
    watcher, consumer = MqttBus("complainee", settings), MqttBus("judge", settings)
    watcher.open(FakeRejectedConsumer())
    consumer.open(FakeConsumer())
    strangers = [reading(0, sensor=f"s{number}") for number in range(200)]
    last = [reading(1, sensor="s0"), verdict(1, sensor="s0")]
    publish.multiple([(topic_of(message), encode(message), 1, False) for message in (*strangers, *last)], **at_broker)  # type: ignore[arg-type]
    received = receive_messages(consumer, MAX_SENSORS + 2)
    assert received == [*strangers[:MAX_SENSORS], *last]
    rejections = [message for message in receive_messages(watcher, MAX_PER_MINUTE) if isinstance(message, Rejected)]
    assert "unknown sensor nobody: it has no readings" in [rejection.reason.en for rejection in rejections[:3]]
    assert all(rejection.reason.en.startswith("more than 64 sensors") for rejection in rejections[3:])
    assert not watcher.receive(10, 0.5)
    consumer.close()
    watcher.close()


def test_acknowledging_twice_is_harmless(settings: Settings, mosquitto: Mosquitto) -> None:
    consumer = MqttBus("judge", settings)
    consumer.open(FakeConsumer())
    for minute in (0, 0, 1):
        message = reading(minute)
        publish.single(topic_of(message), encode(message), qos=1, hostname="127.0.0.1", port=mosquitto.port)
    deliveries: list[Delivery] = []
    while len(deliveries) < 3:
        deliveries += consumer.receive(3, 5.0)
    for delivery in (*deliveries, *deliveries):
        delivery.acknowledge()
    publish.single(topic_of(reading(2)), encode(reading(2)), qos=1, hostname="127.0.0.1", port=mosquitto.port)
    assert receive_messages(consumer, 1) == [reading(2)]
    consumer.close()


def test_invalid_payload_reports_at_most_twenty_errors() -> None:
    minutes = [[datetime(2026, 1, 1, tzinfo=UTC).isoformat(), "wet", "wet"]] * 5000
    payload = json.dumps({"site": "site1", "sensor": "001", "source": "x", "part": 1, "of": 1, "minutes": minutes})
    with pytest.raises(ContractError) as refused:
        decode("wvr/v1/site1/001/history", payload.encode())
    assert str(refused.value).count("minutes.") <= 20
