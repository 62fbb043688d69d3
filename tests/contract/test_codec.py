"""Messages and payloads that the codec accepts and rejects."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.codec import ContractError, decode, encode
from shared.contract.messages import (
    MESSAGES,
    AlarmSummary,
    Anomaly,
    Cadence,
    Command,
    Criteria,
    ExpectedBand,
    ExpectedDay,
    HistoryAnswer,
    HistoryBatch,
    LocalizedText,
    Message,
    ModelTrained,
    NightResult,
    Notification,
    Progress,
    Rejected,
    Response,
    SensorRetired,
    SensorState,
    Status,
    StorageState,
    Stored,
)
from shared.contract.texts import technical
from shared.contract.topics import message_type_of, topic_filter, topic_of
from tests.unit.factories import START, minute_at, prediction, reading, tick, verdict

EXAMPLES: list[Message] = [
    reading(0),
    reading(1, None, None),
    tick(0),
    verdict(0),
    prediction(0),
    HistoryBatch(
        site="site1",
        sensor="001",
        source="import",
        part=1,
        of=2,
        minutes=((minute_at(0), 1.5, None), (minute_at(1), None, 4.0)),
    ),
    HistoryAnswer(site="site1", transfer="t1", part=1, stored=False, reason=technical("no room")),
    Anomaly(
        site="site1",
        sensor="001",
        id="a1",
        at=minute_at(0),
        channels=("pressure",),
        methods=("value",),
        kind="burst",
        trigger="burst",
        state="opened",
        acknowledged=False,
        severity="critical",
        opened_at=minute_at(0),
        onset_at=minute_at(0),
        cleared_at=None,
        peak=1.0,
        excess_m3h=None,
        text=LocalizedText("파열", "burst"),
    ),
    Criteria(
        site="site1",
        sensor="001",
        valid_from=minute_at(0),
        learned_from=minute_at(-9),
        learned_to=minute_at(0),
        days=2,
        limits={"flow_rate.value.up_1": 4.5},
        profiles={"flow_rate.week": (1.0, 2.0)},
    ),
    AlarmSummary(
        site="site1", sensor="001", at=minute_at(0), open=2, unacknowledged=1, severity="warning", silenced_until=None
    ),
    ExpectedDay(
        site="site1",
        sensor="001",
        at=minute_at(0),
        flow_rate=ExpectedBand((20.0,) * 144, (15.0,) * 144, (25.0,) * 144),
        pressure=ExpectedBand(),
    ),
    NightResult(
        site="site1",
        sensor="001",
        at=minute_at(0),
        window_from=minute_at(60),
        window_to=minute_at(240),
        minimum_m3h=12.5,
        usual_m3h=10.0,
        limit_m3h=None,
        leak_m3h=None,
        flag=0,
    ),
    StorageState(
        site="site1",
        at=minute_at(0),
        database_mb=96.5,
        disk_free_mb=8000.0,
        days_left=None,
        oldest_at=minute_at(-9),
        last_backup_at=None,
    ),
    Notification(
        site="site1",
        at=minute_at(0),
        key="k1",
        channel="office",
        state="waiting",
        severity="critical",
        title="001: burst",
        attempts=2,
        reason=technical("timeout"),
    ),
    SensorState(
        site="site1",
        sensor="001",
        service="detector",
        at=minute_at(0),
        is_active=False,
        since=None,
        text=LocalizedText("아직 판정하지 않습니다", "not judged yet"),
        flow_rate=Cadence(15, 60),
    ),
    ModelTrained(
        site="site1",
        sensor="001",
        at=minute_at(0),
        channel="pressure",
        id="m1",
        path="output/x",
        checksum="0" * 64,
        trained_from=minute_at(-9),
        trained_to=minute_at(0),
        metrics={"mae": 0.5},
        promoted=True,
        reason=technical("better"),
    ),
    Progress(site="site1", at=minute_at(0), job="training", step=1, of=3, eta=minute_at(9), text=technical("epoch 1")),
    Stored(site="site1", boot_id="boot", seq=7, at=minute_at(0), judged=-1, waiting=0),
    SensorRetired("site1", "001", minute_at(0)),
    Rejected("site1", "a.csv:7", technical("no number"), "2026,x"),
    Status(
        site="site1",
        name="detector",
        state="online",
        version="0.1.0",
        since=minute_at(0),
        at=minute_at(1),
        memory_mb=80.5,
        lag=0,
        code="ok",
        note=technical(""),
    ),
    Command("site1", "train", "t1", {"sensor": "001"}),
    Response(site="site1", name="train", transaction="t1", ok=True, text=technical("training has begun")),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_every_message_survives_encoding(message: Message) -> None:
    assert decode(topic_of(message), encode(message)) == message


def test_every_message_type_has_an_example() -> None:
    assert {type(message) for message in EXAMPLES} == set(MESSAGES)


@pytest.mark.parametrize("kind", MESSAGES)
def test_topic_determines_the_message_type(kind: type[Message]) -> None:
    assert message_type_of(topic_filter(kind).replace("+", "any")) is kind


@pytest.mark.parametrize(
    "invalid",
    [
        {"flow_rate": float("nan")},
        {"pressure": float("inf")},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"sensor": "a/b"},
        {"sensor": ""},
        {"sensor": "x" * 65},
        {"seq": -1},
        {"flow_rate": "12"},
    ],
    ids=str,
)
def test_invalid_message_is_not_encoded(invalid: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=next(iter(invalid))):
        encode(replace(reading(0), **invalid))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"flow_rate": "wet"}, "flow_rate"),
        ({"at": "2026-11-23T23:00:00"}, "UTC offset"),
        ({"at": None}, "at"),
        ({"sensor": "002"}, "belongs to"),
    ],
    ids=str,
)
def test_invalid_payload_is_rejected_with_its_field(change: dict[str, Any], reason: str) -> None:
    payload = json.dumps(json.loads(encode(reading(0))) | change).encode()
    with pytest.raises(ContractError, match=reason):
        decode(topic_of(reading(0)), payload)


def test_unknown_fields_are_ignored() -> None:
    payload = json.dumps(json.loads(encode(tick(0))) | {"later": 1}).encode()
    assert decode(topic_of(tick(0)), payload) == tick(0)


def test_missing_field_is_rejected() -> None:
    with pytest.raises(ContractError, match="flow_rate"):
        decode(topic_of(reading(0)), b'{"site": "site1", "sensor": "001"}')


@given(st.binary(max_size=200), st.sampled_from([topic_of(message) for message in EXAMPLES] + ["a", "wvr/v1/x"]))
def test_invalid_payload_raises_only_contract_errors(payload: bytes, topic: str) -> None:
    with pytest.raises(ContractError):
        decode(topic, payload)


def test_times_have_the_utc_offset_of_the_site() -> None:
    assert json.loads(encode(tick(0)))["at"] == START.isoformat() == "2026-11-23T23:00:00+09:00"
