"""Descriptions of the sensors for Home Assistant."""

from __future__ import annotations

import json
import re
from pathlib import Path

import paho.mqtt.client as mqtt

from services.notifier.contact import Contact
from services.notifier.discovery import Discovery
from services.notifier.home_assistant import SOURCES, device_id, device_payload, device_topic
from services.notifier.service import Notifier
from services.notifier.state_file import StateFile
from shared.contract.messages import FlowChecks, PressureChecks, SensorRetired
from shared.contract.topics import topic_of
from tests.unit.factories import verdict
from tests.unit.services.notifier.notifier_site import MONDAY, FakeMessenger, anomaly, judged


class FakeBroker:
    """Retained payloads by topic."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.sent = 0

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent += 1
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)


def notifier(folder: Path, broker: FakeBroker, is_enabled: bool) -> Notifier:
    discovery = Discovery("site1", "온정리", is_enabled, broker.publish)
    contacts: list[Contact] = []
    return Notifier(
        contacts, "site1", "온정리", StateFile(folder / "state.json"), FakeMessenger(), lambda: MONDAY, discovery
    )


def test_description_has_every_check_of_the_contract() -> None:
    description = json.loads(device_payload("site1", "온정리", "001"))
    entities = description["components"]
    checks = {f"flow_rate_{name}" for name in FlowChecks.__slots__}
    checks |= {f"pressure_{name}" for name in PressureChecks.__slots__}
    assert len(checks) == 7
    assert checks == {key for key, entity in entities.items() if entity["platform"] == "binary_sensor"}
    assert entities.keys() - checks == {"flow_rate", "pressure", "night_minimum", "incident"}
    assert len({entity["unique_id"] for entity in entities.values()}) == 11
    assert description["device"]["name"] == "온정리 001"


def test_description_refers_to_topics_of_the_contract() -> None:
    description = json.loads(device_payload("site1", "site1", "001"))
    entities = description["components"]
    assert entities["flow_rate"]["state_topic"] == topic_of(verdict(0))
    assert mqtt.topic_matches_sub(entities["incident"]["state_topic"], topic_of(anomaly()))
    assert [source["topic"] for source in description["availability"]] == [
        f"wvr/v1/site1/service/{name}" for name in SOURCES
    ]


def test_ids_are_valid_and_distinct() -> None:
    names = ["001", "x1", "x31-", "수압", "수압.1", "수압x2e-1", "a b", "a_b", "a-b", "A"]
    ids = [device_id("site1", name) for name in names]
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", name) for name in ids)


def test_sensor_is_described_once_and_removed_when_retired(tmp_path: Path) -> None:
    broker = FakeBroker()
    service = notifier(tmp_path, broker, is_enabled=True)
    for _ in range(3):
        list(service.handle(judged("001", MONDAY)))
        list(service.end_batch())
    assert broker.sent == 1
    assert broker.retained.keys() == {device_topic("wvr_site1_001")}
    list(service.handle(SensorRetired("site1", "001", MONDAY)))
    list(service.end_batch())
    assert broker.retained == {}


def test_descriptions_are_removed_when_switched_off(tmp_path: Path) -> None:
    broker = FakeBroker()
    service = notifier(tmp_path, broker, is_enabled=True)
    list(service.handle(judged("001", MONDAY)))
    list(service.handle(judged("002", MONDAY)))
    list(service.end_batch())
    assert len(broker.retained) == 2
    service = notifier(tmp_path, broker, is_enabled=False)
    list(service.handle(judged("001", MONDAY)))
    for _ in range(2):  # the second call stores what the first has removed
        list(service.end_batch())
    assert broker.retained == {}
    sent = broker.sent
    list(notifier(tmp_path, broker, is_enabled=False).end_batch())
    assert broker.sent == sent


def test_off_by_default_publishes_nothing(tmp_path: Path) -> None:
    broker = FakeBroker()
    service = notifier(tmp_path, broker, is_enabled=False)
    list(service.handle(judged("001", MONDAY)))
    list(service.end_batch())
    assert broker.sent == 0
