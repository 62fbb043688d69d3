"""Texts of anomalies: amounts without sign, direction in words, and volumes only for losses."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import get_args

import pytest

from services.detector.alarm_text import render_text
from shared.contract.anomaly_kinds import ANOMALY_KINDS
from shared.contract.messages import Anomaly, Channel, LocalizedText, Trigger

ONSET = datetime(2025, 3, 3, 9, 6)  # noqa: DTZ001
NOW = ONSET + timedelta(hours=6)


def text_of(
    trigger: Trigger,
    channel: Channel,
    value: float | None,
    excess: float | None,
    flow: float | None,
    lost: float | None = None,
) -> LocalizedText:
    """Return the text of an anomaly six hours after its onset; flow: excess flow, with an interval of ± 3 m³/h."""
    anomaly = Anomaly(
        site="site1",
        sensor="001",
        id="001-a",
        at=NOW,
        channels=(channel,),
        methods=("value",),
        kind=ANOMALY_KINDS[trigger].kind,
        trigger=trigger,
        state="updated",
        acknowledged=False,
        severity="warning",
        opened_at=ONSET,
        onset_at=ONSET,
        cleared_at=NOW,
        peak=value,
        excess_m3h=flow,
        excess_interval_m3h=None if flow is None else (flow - 3.0, flow + 3.0),
        lost_m3=lost,
        text=LocalizedText("", ""),
    )
    return render_text(anomaly, excess)


@pytest.mark.parametrize("trigger", get_args(Trigger))
@pytest.mark.parametrize("channel", ["flow_rate", "pressure"])
@pytest.mark.parametrize("excess", [12.64, -12.64, None])
def test_text_has_no_signed_or_missing_numbers(trigger: Trigger, channel: Channel, excess: float | None) -> None:
    text = text_of(trigger, channel, 70.5, excess, excess)
    for sentence in (text.ko, text.en):
        assert not re.search(r"[+\-−]\d", sentence.replace("2025-03-03", ""))
        assert "?" not in sentence
        assert "  " not in sentence
        assert "{" not in sentence
        assert sentence.startswith("001") or "001" in sentence
        assert len(re.findall(r"[.](?= |$)", sentence)) <= 3


def test_flow_increase_has_interval_and_lost_volume() -> None:
    text = text_of("step", "flow_rate", 70.5, 12.64, 12.64, 12.64 * 6)
    assert "유량이 2025-03-03 09:06부터 평소보다 12.6 ± 3 m³/h 증가했습니다" in text.ko
    assert "누적 손실 약 76 m³" in text.ko
    assert "12.6 ± 3 m³/h above expected since 2025-03-03 09:06 (about 76 m³ lost)" in text.en


def test_flow_decrease_has_no_lost_volume() -> None:
    text = text_of("step", "flow_rate", 7.5, -12.64, -12.64)
    assert "평소보다 12.6 ± 3 m³/h 감소했습니다" in text.ko
    assert "below expected" in text.en
    assert "손실" not in text.ko
    assert "lost" not in text.en


def test_pressure_drop_says_that_flow_is_unchanged() -> None:
    text = text_of("pressure_drop", "pressure", 3.5, -0.5, 0.1)
    assert "수압이 2025-03-03 09:06부터 평소보다 0.5 bar 낮아졌고 유량은 그대로입니다" in text.ko
    assert text.en.startswith("Pressure of 001 is 0.5 bar below expected since")


@pytest.mark.parametrize(("flow", "korean"), [(0.1, "유량 변화 없음"), (-4.0, "유량 4 ± 3 m³/h 감소"), (None, "")])
def test_pressure_step_includes_flow_change(flow: float | None, korean: str) -> None:
    text = text_of("step", "pressure", 5.5, 0.5, flow)
    assert "평소보다 0.5 bar 높습니다" in text.ko
    assert korean in text.ko


def test_large_values_have_no_exponent() -> None:
    assert "12350 m³/h" in text_of("stuck", "flow_rate", 12345.6, None, None).ko


def test_korean_texts_need_no_particle_alternatives() -> None:
    texts = [text.ko for row in ANOMALY_KINDS.values() for text in row.texts]
    assert not [text for text in texts if re.search(r"\([으은이을]\)?|은\(는\)|이\(가\)|을\(를\)", text)]
