"""The table of anomaly kinds agrees with the types on the wire, and its texts can be filled in."""

from __future__ import annotations

import string
from typing import get_args

import pytest

from services.detector.alarm_text import CHANNEL_NAMES
from shared.contract.anomaly_kinds import (
    ANOMALY_KINDS,
    LAST_NIGHT_KEY,
    LEAK_KEY,
    SHIFT_KEY,
    AnomalyKind,
    anomaly_kind,
    incident_key,
)
from shared.contract.messages import CHANNELS, Kind, Method, Trigger

TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
KINDS: tuple[Kind, ...] = get_args(Kind)


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_trigger_has_a_row() -> None:
    assert tuple(ANOMALY_KINDS) == TRIGGERS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_row_of_its_name(kind: Kind) -> None:
    assert ANOMALY_KINDS[kind].kind == kind


@pytest.mark.parametrize("row", ANOMALY_KINDS.values(), ids=ANOMALY_KINDS.keys())
def test_row_is_complete(row: AnomalyKind) -> None:
    assert row.kind in KINDS
    assert row.shift_kind is None or ANOMALY_KINDS[row.shift_kind].key == SHIFT_KEY
    assert row.method in get_args(Method)
    assert set(row.channels) <= set(CHANNELS)
    assert (row.minutes_to_clear > 0) == (row.kind != "works")
    assert row.label.ko
    assert row.label.en
    for text in row.texts:
        assert "sensor" in placeholders(text.ko) & placeholders(text.en)


def test_keys_of_different_lives_differ() -> None:
    """Anomalies of one key replace each other, so their rows agree on when they are evaluated."""
    by_key: dict[str, set[bool]] = {}
    for trigger, row in ANOMALY_KINDS.items():
        for channel in row.channels:
            by_key.setdefault(incident_key(trigger, channel), set()).add(row.once_a_day)
    assert {SHIFT_KEY, LEAK_KEY, LAST_NIGHT_KEY} <= by_key.keys()
    assert all(len(values) == 1 for values in by_key.values())


def test_unit_change_as_step_lives_like_a_step() -> None:
    assert anomaly_kind("unit", "step") is ANOMALY_KINDS["step"]
    assert incident_key("unit", "pressure", "step") == "shift"
    assert (
        incident_key("unit", "pressure", "out_of_range") == incident_key("unit", "pressure") == "pressure.out_of_range"
    )


@pytest.mark.parametrize(("trigger", "kind"), [("stuck", "step"), ("unit", "burst"), ("drift", "drift"), ("", "step")])
def test_unknown_combination_is_an_error(trigger: Trigger, kind: Kind) -> None:
    with pytest.raises(ValueError, match="ANOMALY_KINDS"):
        anomaly_kind(trigger, kind)


def test_every_channel_has_a_name() -> None:
    assert CHANNEL_NAMES.keys() == set(CHANNELS)
