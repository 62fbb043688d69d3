"""Clock faults of a meter: texts with size, direction and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.detector.service import Detector
from shared.contract.messages import Message, Reading, Tick
from tests.unit.factories import with_clock
from tests.unit.services.detector.fakes import (
    MINUTE,
    anomalies,
    learned_site,
    make_detector,
    make_prediction,
    opened,
    replay,
    verdicts,
)
from tests.unit.services.detector.synthetic_site import SHAPES, make_site

NINE = 9 * 60 + 6
"""Readings up to 09:06 of the first day."""
LEARNED = 37 * 1440 + 1
"""Minutes of history before the faults of a known site."""
READINGS = make_site(SHAPES["homes"], 2, seed=4).readings()


def shift(readings: Iterable[Reading], minutes: int) -> list[Reading]:
    return [replace(reading, at=reading.at + timedelta(minutes=minutes)) for reading in readings]


def replay_with_clock(readings: Iterable[Reading]) -> list[Message]:
    return replay(make_detector(), with_clock(readings))


def clock_texts(messages: Iterable[Message]) -> list[tuple[str, str]]:
    return [(anomaly.text.ko, anomaly.text.en) for anomaly in opened(messages) if anomaly.kind == "clock"]


@pytest.mark.parametrize(
    ("back", "korean", "english"),
    [
        (63, "63분 뒤로 갔습니다", "went back by 63 minutes"),
        (9 * 60, "9시간 뒤로 갔습니다", "went back by 9 hours"),
        (365 * 1440, "365일 뒤로 갔습니다", "went back by 365 days"),
    ],
)
def test_setback_text_names_size_and_time(back: int, korean: str, english: str) -> None:
    messages = replay_with_clock([*READINGS[:NINE], *shift(READINGS[NINE : NINE + 30], -back)])
    assert clock_texts(messages) == [
        (
            f"001 계측 시각이 2025-03-03 09:06에 {korean}. 계측기 시계를 맞추세요.",
            f"The clock of 001 {english} at 2025-03-03 09:06. Set the meter's clock.",
        )
    ]
    times = [verdict.at for verdict in verdicts(messages)]
    assert len(set(times)) == len(times) >= NINE + (30 if back > 1440 else 0)


def test_returned_jump_text_names_size_and_time() -> None:
    messages = replay_with_clock([*READINGS[:NINE], *shift(READINGS[NINE:][:2], 365 * 1440), *READINGS[NINE + 2 : 700]])
    assert clock_texts(messages) == [
        (
            "001 계측 시각이 2025-03-03 09:08에 365일 앞섰다가 돌아왔습니다. 계측기 시계를 맞추세요.",
            "The clock of 001 jumped 365 days ahead and came back at 2025-03-03 09:08. Set the meter's clock.",
        )
    ]
    assert [anomaly.state for anomaly in anomalies(messages) if anomaly.kind == "clock"][-1] == "cleared"


def test_anomaly_opened_in_future_is_cleared_after_setback() -> None:
    year = 365 * 1440
    flat = [replace(anomaly, flow_rate=None) if anomaly.seq > 700 else anomaly for anomaly in READINGS[:720]]
    messages = replay_with_clock([*shift(flat, year), *READINGS[720:800]])
    last = {anomaly.id: anomaly.state for anomaly in anomalies(messages)}
    assert {anomaly.kind for anomaly in opened(messages)} == {"silence", "clock"}
    assert set(last.values()) == {"cleared"}


def test_confirmed_jump_is_reported_at_return() -> None:
    messages = replay_with_clock([*READINGS[:NINE], *shift(READINGS[NINE:][:90], 1440), *READINGS[NINE + 90 :][:200]])
    (clock,) = [anomaly for anomaly in opened(messages) if anomaly.kind == "clock"]
    assert clock.opened_at == READINGS[NINE + 92].at
    assert "jumped 24 hours ahead and came back at 2025-03-03 10:38" in clock.text.en


def test_setback_of_hours_opens_nothing_and_keeps_days() -> None:
    readings = make_site(SHAPES["homes"], 40, seed=4).readings()
    fault = 39 * 1440 + NINE
    detector, _ = learned_site("homes", 40, 4, LEARNED).copy()
    wrong = shift(readings[fault:][:90], -30 * 1440)
    sent = list(with_clock([*readings[LEARNED:fault], *wrong, *readings[fault + 90 : fault + 200]]))
    back = fault - LEARNED
    messages = live(detector, sent[: back + 90])
    for reading in readings[fault:][:90]:
        messages += detector.handle(Tick("site1", reading.at))
    messages += live(detector, sent[back + 90 :])
    assert [anomaly.kind for anomaly in opened(messages) if anomaly.kind == "clock"] == ["clock"]
    assert all(
        anomaly.opened_at >= readings[fault].at for anomaly in opened(messages) if anomaly.kind in ("clock", "silence")
    )
    assert len(detector._queues["001"].monitor.model.history.days) == 39


def test_anomaly_opened_during_setback_ends_with_it() -> None:
    anomaly = make_site(SHAPES["homes"], 40, seed=4)
    fault = 39 * 1440 + NINE
    anomaly.burst(fault + 70, 60, 2.0)
    readings = anomaly.readings()
    wrong = shift(readings[fault:][:130], -30 * 1440)
    lines = [*readings[LEARNED:fault], *wrong, *readings[fault + 130 :][:60]]
    messages = learned_site("homes", 40, 4, LEARNED).replay(with_clock(lines), forecasts=False)
    (step,) = [
        message
        for message in opened(messages)
        if message.kind == "step" and message.at in {reading.at for reading in wrong}
    ]
    end = [message for message in anomalies(messages) if message.id == step.id][-1]
    assert (end.state, end.cleared_at) == ("cleared", wrong[-1].at)


def live(detector: Detector, readings: Iterable[Reading], late: int = 0) -> list[Message]:
    """Send readings with a tick after each, and the prediction of each hour a minute after its first reading."""
    messages: list[Message] = []
    for reading in readings:
        messages += detector.handle(reading)
        if reading.at.minute == late:
            messages += detector.handle(make_prediction(reading.at.replace(minute=0), 60.0, 4.0))
        messages += detector.handle(Tick("site1", reading.at))
    return messages


def test_single_future_reading_does_not_block_forecasts() -> None:
    plain, detector = make_detector(), make_detector()
    live(plain, READINGS[:NINE])
    live(detector, READINGS[:NINE])
    list(detector.handle(replace(shift(READINGS[NINE:], 365 * 1440)[0], clock="doubted")))
    for anomaly in (plain, detector):
        list(anomaly.handle(Tick("site1", READINGS[NINE].at)))
    live(plain, READINGS[NINE + 1 : 2 * 1440])
    messages = live(detector, READINGS[NINE + 1 : 2 * 1440])
    hour = READINGS[1440 + 600].at
    assert detector._queues["001"].released_through == plain._queues["001"].released_through
    assert [anomaly.at for anomaly in verdicts(messages) if anomaly.at.minute == 0][-1] > hour


def test_true_reading_of_a_minute_that_was_doubted_is_judged() -> None:
    ahead = replace(READINGS[NINE + 90], clock="doubted")
    messages = replay(make_detector(), [*READINGS[:NINE], ahead, *READINGS[NINE : NINE + 100]])
    judged = [verdict for verdict in verdicts(messages) if verdict.at == ahead.at]
    assert [verdict.flow_rate.system.flag for verdict in judged] == [1, 0]


def test_silence_uses_meter_time_when_tick_clock_is_wrong() -> None:
    detector = make_detector()
    live(detector, READINGS[:NINE])
    last = READINGS[NINE - 1].at
    messages = [m for n in range(12) for m in detector.handle(Tick("site1", last + timedelta(days=365) + n * MINUTE))]
    assert [(anomaly.kind, anomaly.opened_at) for anomaly in opened(messages)] == [
        ("silence", last + timedelta(minutes=10))
    ]


def test_repeated_hour_uses_its_own_forecasts() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    begin = datetime.fromisoformat("2026-10-25T00:00+00:00")
    detector, flags = make_detector(), []
    for number in range(180):
        local = (begin + number * MINUTE).astimezone(berlin)
        at = datetime.fromisoformat(local.isoformat())
        reading = replace(READINGS[0], at=at, seq=number)
        if at.minute == 0:
            list(detector.handle(make_prediction(at, 10.0 + number, 4.0)))
        assert len(verdicts(detector.handle(reading))) == 1
        flags.append(detector._queues["001"].monitor.model.flow.forecast_deviation._expected)
    assert [flags[number] for number in (30, 90, 150)] == [10.0, 70.0, 130.0]


def test_a_block_after_an_outage_raises_no_clock_alarm_and_is_learned_from() -> None:
    outage, resumed = READINGS[NINE : NINE + 180], READINGS[NINE + 180 : NINE + 190]
    block = [replace(reading, belated=True) for reading in reversed(outage)]
    detector = make_detector()
    messages = replay(detector, [*READINGS[:NINE], *resumed, *block, *READINGS[NINE + 190 : NINE + 300]])
    assert clock_texts(messages) == []
    flags = {verdict.flow_rate.system.flag for verdict in verdicts(messages) if verdict.at in {r.at for r in outage}}
    assert flags == {None}
    observed = detector._queues["001"].monitor.model.flow.measured
    assert observed[NINE : NINE + 180] == [reading.flow_rate for reading in outage]


def test_a_late_half_is_learned_from_and_is_no_duplicate() -> None:
    detector = make_detector()
    halves = [replace(reading, pressure=None) for reading in READINGS[:NINE]]
    late = [replace(reading, flow_rate=None, completes=True) for reading in READINGS[:NINE]]
    messages = replay(detector, [*halves, *late])
    assert clock_texts(messages) == []
    assert len(verdicts(messages)) == NINE
    observed = detector._queues["001"].monitor.model.pressure.measured
    assert observed[:NINE] == [reading.pressure for reading in late]
