"""Alarms of a site in several scenarios, from opening to clearing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import get_args

import numpy as np
import pytest

from services.detector.classification import Detection
from services.detector.methods.level_shift import HOUR_INDEX, HOUR_MINUTES, HeldLevel
from services.detector.methods.units import looks_like_unit_change
from services.detector.sensor_monitor import SensorMonitor
from shared.contract.messages import Channel, Kind, Message, Method, Tick
from shared.settings import Settings
from tests.unit.services.detector.fakes import (
    MINUTE,
    LearnedDetector,
    anomalies,
    learned_site,
    make_detector,
    opened,
    replay,
    verdicts,
)
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, SyntheticSite, make_site

START = 64 * DAY + 9 * 60
NIGHT = 64 * DAY + 40
LEAK = Detection(trigger="leak", channel="flow_rate", severity="warning", value=20.0, excess=3.0, excess_flow=3.0)
MIDNIGHT = 65 * DAY
LEARNED = 63 * DAY + 1
"""Minutes of history that the scenes start with."""
EARLY = 58 * DAY + 1
"""The same for leaks, which begin on day 60."""


def site(days: int = 66, shape: str = "homes", seed: int = 12) -> SyntheticSite:
    return make_site(SHAPES[shape], days, seed)


def learned(days: int = 66, seed: int = 12, minutes: int = LEARNED) -> LearnedDetector:
    return learned_site("homes", days, seed, minutes)


@cache
def messages_for(scene: str) -> tuple[Message, ...]:
    synthetic = site()
    if scene == "burst":
        synthetic.burst(NIGHT, 600, 0.5)
    elif scene == "stuck":
        synthetic.stuck(START, 400)
    elif scene == "spike":
        synthetic.scale("spike", START, 1, 2.5)
    elif scene == "unit":
        synthetic.scale("unit", START, 120, 100.0)
    elif scene == "litres":
        synthetic.scale("unit", START, 120, 1 / 3.6)
    elif scene == "unit after a gap over midnight":
        synthetic.scale("unit", MIDNIGHT, 120, 10.0)
        readings = synthetic.readings(LEARNED, MIDNIGHT - 4) + synthetic.readings(MIDNIGHT + 4)
        return tuple(learned().replay(readings))
    elif scene == "dropout":
        synthetic.dropout(START, 60)
    elif scene == "low pressure":
        synthetic.pressure[START : START + 600] -= 0.6
    elif scene == "broken main":
        synthetic.burst(START, 600, 4.0)
    return tuple(learned().replay(synthetic.readings(LEARNED)))


def at_minute(minute: int) -> datetime:
    return MONDAY + minute * MINUTE


def opened_since(scene: str, start: int = START) -> list[tuple[str, str]]:
    """Return (channel, kind) of the anomalies opened since the event."""
    return [
        (anomaly.channel, anomaly.kind) for anomaly in opened(messages_for(scene)) if anomaly.at >= at_minute(start)
    ]


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        ("stuck", ("flow_rate", "stuck")),
        ("spike", ("flow_rate", "spike")),
        ("unit", ("flow_rate", "out_of_range")),
        ("dropout", ("flow_rate", "silence")),
        ("low pressure", ("pressure", "pressure_drop")),
    ],
)
def test_event_opens_anomaly_of_its_kind(scene: str, expected: tuple[str, str]) -> None:
    assert expected in opened_since(scene)


def test_unit_change_is_open_until_it_is_reverted() -> None:
    (jump,) = [
        anomaly for anomaly in opened(messages_for("litres")) if at_minute(START) <= anomaly.at < at_minute(START + 180)
    ]
    assert (jump.channel, jump.kind, jump.at) == ("flow_rate", "out_of_range", at_minute(START))
    assert "another unit" in jump.text.en
    assert "단위 설정" in jump.text.ko
    (end,) = [
        anomaly for anomaly in anomalies(messages_for("litres")) if anomaly.id == jump.id and anomaly.state == "cleared"
    ]
    assert at_minute(START + 120) <= end.at < at_minute(START + 140)
    flags = {
        anomaly.flow_rate.system.flag
        for anomaly in verdicts(messages_for("litres"))
        if at_minute(START) <= anomaly.at < at_minute(START + 120)
    }
    assert flags == {1}


def test_change_in_gap_over_midnight_is_no_jump() -> None:
    first = next(
        anomaly
        for anomaly in verdicts(messages_for("unit after a gap over midnight"))
        if anomaly.at >= at_minute(MIDNIGHT)
    )
    assert (first.at, first.flow_rate.system.flag) == (at_minute(MIDNIGHT + 4), 0)


@pytest.mark.parametrize(
    ("channel", "value", "expected"),
    [
        ("flow_rate", 36.0, True),
        ("flow_rate", 10 / 3.6, True),
        ("flow_rate", 20.0, False),
        ("flow_rate", 0.0, False),
        ("pressure", 102.0, True),
        ("pressure", 9.0, False),
    ],
)
def test_unit_factors_are_recognised(channel: Channel, value: float, expected: bool) -> None:
    assert looks_like_unit_change(channel, value, 10.0) is expected


def test_burst_is_one_anomaly_from_opened_to_cleared() -> None:
    (first,) = [
        anomaly for anomaly in opened(messages_for("burst")) if at_minute(NIGHT) <= anomaly.at < at_minute(65 * DAY)
    ]
    assert first.kind == "step"
    life = [anomaly for anomaly in anomalies(messages_for("burst")) if anomaly.id == first.id]
    assert life[0].state == "opened"
    assert life[-1].state == "cleared"
    assert {anomaly.state for anomaly in life[1:-1]} == {"updated"}
    assert len(life) < 25
    assert {anomaly.kind for anomaly in life if anomaly.at - first.at < 3 * 60 * MINUTE} == {"step"}
    assert life[-1].kind == "burst"
    assert "burst" in life[-1].text.en.lower()
    assert (first.at - at_minute(NIGHT)) <= 60 * MINUTE
    assert life[-1].excess_m3h == pytest.approx(30, rel=0.4)
    assert "m³/h" in first.text.ko


def test_broken_main_opens_within_ten_minutes() -> None:
    steps = [
        anomaly
        for anomaly in opened(messages_for("broken main"))
        if anomaly.at >= at_minute(START) and anomaly.kind == "step"
    ]
    assert steps[0].channel == "flow_rate"
    assert steps[0].at - at_minute(START) <= 10 * MINUTE
    life = [anomaly for anomaly in anomalies(messages_for("broken main")) if anomaly.id == steps[0].id]
    assert life[len(life) // 2].excess_m3h == pytest.approx(240, rel=0.1)


@pytest.mark.parametrize(
    ("channel", "flow", "hours"), [("flow_rate", 3.0, 72), ("flow_rate", -3.0, 12), ("pressure", 3.0, 12)]
)
def test_lasting_shift_is_accepted_as_new_level(channel: Channel, flow: float, hours: int) -> None:
    monitor, at = SensorMonitor(Settings(), "001"), at_minute(START)
    channel_model = monitor.model.flow if channel == "flow_rate" else monitor.model.pressure
    detection = shift_detection(flow, channel)
    (anomaly,) = monitor.alarms.raise_or_continue(at, detection)
    channel_model.level_shift.window_scores.cumulative += [float(minute) for minute in range(HOUR_MINUTES + 1)]
    channel_model.level_shift.baseline = HeldLevel(level=0.0, size=1.0, excess=flow)
    assert anomaly.opened_at == at
    assert monitor.shift_persists(at + hours * HOUR_MINUTES * MINUTE - MINUTE)
    assert not monitor.shift_persists(at + hours * HOUR_MINUTES * MINUTE)


@pytest.mark.parametrize(("mean", "persists"), [(0.4, True), (0.2, True), (0.0, False), (-0.2, False)])
def test_rise_from_low_level_ends_at_expected_flow(mean: float, persists: bool) -> None:
    monitor = SensorMonitor(Settings(), "001")
    monitor.model.flow.level_shift.window_scores.cumulative += [mean * minute for minute in range(HOUR_MINUTES + 1)]
    monitor.model.flow.level_shift.baseline = HeldLevel(level=-0.8, size=1.2, excess=3.0)
    assert monitor.model.flow.level_shift.persists() is persists


@pytest.mark.parametrize(("pulse", "interval"), [(1.0, 1), (6.0, 6), (-6.0, 6)])
def test_excess_of_pulse_meter_is_complete(pulse: float, interval: int) -> None:
    detector = SensorMonitor(Settings(), "001").model.flow.level_shift
    residuals = [0.0 if minute % interval else pulse for minute in range(HOUR_MINUTES)]
    detector._recent_residuals.extend(residuals)
    detector.window_scores.cumulative += np.cumsum(residuals).tolist()
    detector.window_scores.window_index = HOUR_INDEX
    assert detector.excess() == pytest.approx(pulse / interval)


def test_normal_site_opens_at_most_one_anomaly() -> None:
    start = 56 * DAY + 1
    assert len(opened(learned(minutes=start).replay(site().readings(start)))) <= 1


def test_growing_leak_opens_few_anomalies() -> None:
    synthetic = site(days=100, seed=15)
    synthetic.leak(60 * DAY, 35 * DAY, 0.15, 10 * DAY)
    messages = learned(100, 15, EARLY).replay(synthetic.readings(EARLY, 95 * DAY), forecasts=False)
    kinds = [anomaly.kind for anomaly in opened(messages) if anomaly.opened_at >= at_minute(60 * DAY)]
    assert kinds.count("leak") == 1
    assert len(kinds) <= 4


def shift_detection(flow: float | None, channel: Channel = "flow_rate", kind: Kind = "step") -> Detection:
    return Detection(trigger=kind, channel=channel, severity="warning", value=70.0, excess=flow, excess_flow=flow)


@pytest.mark.parametrize(
    ("shift", "open_keys"),
    [
        (shift_detection(3.0), ["night"]),
        (shift_detection(5.0), ["night"]),
        (shift_detection(7.0), ["shift"]),
        (shift_detection(1.2), ["shift"]),
        (shift_detection(-3.0), ["shift"]),
        (shift_detection(3.0, kind="burst"), ["shift"]),
        (shift_detection(3.0, "pressure", "pressure_drop"), ["shift"]),
    ],
)
def test_leak_replaces_step_of_similar_size(shift: Detection, open_keys: list[str]) -> None:
    monitor, morning = SensorMonitor(Settings(), "001"), at_minute(65 * DAY + 300)
    list(monitor.alarms.raise_or_continue(morning - 200 * MINUTE, shift))
    anomalies_ = list(monitor.alarms.raise_leak(morning, LEAK))
    assert list(monitor.alarms.open) == open_keys
    assert [(anomaly.kind, anomaly.state) for anomaly in anomalies_] == (
        [("step", "cleared"), ("leak", "opened")] if open_keys == ["night"] else []
    )


@pytest.mark.parametrize("end", ["a leak", "the clock's return"])
def test_baseline_is_released_when_its_alarm_is_cleared_otherwise(end: str) -> None:
    monitor, morning = SensorMonitor(Settings(), "001"), at_minute(65 * DAY + 300)
    list(monitor._update_alarms(morning - 200 * MINUTE, [shift_detection(3.0)], True))
    assert monitor.model.flow.level_shift.baseline is not None
    alarms = monitor.alarms
    list(
        monitor._recorded(
            alarms.raise_leak(morning, LEAK)
            if end == "a leak"
            else alarms.clear_opened_between(morning - DAY * MINUTE, morning)
        )
    )
    assert monitor.model.flow.level_shift.baseline is None


def test_leak_replaces_nothing_during_maintenance() -> None:
    monitor, morning = SensorMonitor(Settings(), "001"), at_minute(65 * DAY + 300)
    list(monitor.alarms.raise_or_continue(morning - 200 * MINUTE, shift_detection(3.0)))
    monitor.alarms.silenced = frozenset(get_args(Method))
    assert not list(monitor.alarms.raise_leak(morning, LEAK))
    assert list(monitor.alarms.open) == ["shift"]


@pytest.mark.parametrize(
    ("shift", "opens"),
    [
        (shift_detection(0.5), False),
        (shift_detection(5.9), False),
        (shift_detection(6.1), True),
        (shift_detection(-3.0), True),
        (shift_detection(None), True),
        (shift_detection(3.0, "pressure", "pressure_drop"), True),
    ],
)
def test_flow_explained_by_open_leak_opens_no_anomaly(shift: Detection, opens: bool) -> None:
    monitor, morning = SensorMonitor(Settings(), "001"), at_minute(65 * DAY + 300)
    list(monitor.alarms.raise_leak(morning, LEAK))
    assert bool(list(monitor._update_alarms(morning + 60 * MINUTE, [shift], True))) is opens


@pytest.mark.parametrize(("half_width", "nights"), [(0.9, 2), (1.1, 1), (None, 1)])
def test_end_of_certain_leak_needs_a_second_night(half_width: float | None, nights: int) -> None:
    monitor, morning = SensorMonitor(Settings(), "001"), at_minute(65 * DAY + 300)
    list(monitor.alarms.raise_leak(morning, replace(LEAK, interval_half_width=half_width)))
    list(monitor.alarms.raise_leak(morning + DAY * MINUTE, replace(LEAK, interval_half_width=2.0)))
    endings = [
        list(monitor.alarms.count_normal(morning + night * DAY * MINUTE, "night")) for night in range(2, 2 + nights)
    ]
    assert [len(ends) for ends in endings] == [0] * (nights - 1) + [1]


def test_silence_opens_after_ten_ticks_and_ends_with_next_reading() -> None:
    detector = make_detector()
    *earlier, last = site().readings(stop=60)
    replay(detector, earlier, ticks=True)
    answers = [detector.handle(Tick("site1", earlier[-1].at + minutes * MINUTE)) for minutes in range(1, 15)]
    (silence,) = anomalies(message for messages in answers for message in messages)
    assert (silence.kind, silence.state) == ("silence", "opened")
    assert silence.at == earlier[-1].at + 9 * MINUTE or silence.at == earlier[-1].at + 10 * MINUTE
    (*_, cleared) = replay(detector, [last])
    assert cleared in anomalies([cleared])
    assert (cleared.id, cleared.state) == (silence.id, "cleared")


def test_slow_leak_is_found_and_restored_after_restart() -> None:
    synthetic = site(days=78, seed=13)
    synthetic.leak(60 * DAY, 15 * DAY, 0.15, 4 * DAY)
    start, cut = learned(78, 13, EARLY), 70 * DAY + 700
    first, _ = start.copy()
    before = replay(first, synthetic.readings(EARLY, cut))
    after = replay(first, synthetic.readings(cut))
    restarted = make_detector(start.history_with(synthetic.readings(EARLY, cut), before))
    (leak,) = [
        anomaly for anomaly in anomalies(restarted.start()) if anomaly.kind == "leak" and anomaly.state != "cleared"
    ]
    ends = [anomaly for anomaly in anomalies(after) if anomaly.id == leak.id]
    assert ends[-1].state == "cleared"
    again = replay(restarted, synthetic.readings(cut))
    assert [anomaly for anomaly in anomalies(again) if anomaly.id == leak.id] == ends


def test_daytime_burst_seen_only_at_night_opens_in_the_morning_and_ends_the_next() -> None:
    synthetic = site(days=67, seed=14)
    synthetic.flow[START : START + DAY] += np.interp(np.arange(DAY), [0, 900, DAY], [0.0, 3.0, 3.0])
    start, cut = learned(67, 14), 65 * DAY + 700
    first, _ = start.copy()
    before = replay(first, synthetic.readings(LEARNED, cut))
    after = replay(first, synthetic.readings(cut))
    (night_alarm,) = (
        anomaly for anomaly in anomalies(before) if anomaly.opened_at >= at_minute(START) and anomaly.method == "night"
    )
    assert (night_alarm.kind, night_alarm.state, night_alarm.at) == ("step", "opened", at_minute(65 * DAY + 300))
    assert night_alarm.excess_m3h == pytest.approx(3.0, abs=1.5)
    restarted = make_detector(start.history_with(synthetic.readings(LEARNED, cut), before))
    assert night_alarm in list(restarted.start())
    (end,) = (anomaly for anomaly in anomalies(after) if anomaly.id == night_alarm.id)
    assert (end.state, end.at) == ("cleared", at_minute(66 * DAY + 300))
    again = replay(restarted, synthetic.readings(cut))
    assert [anomaly for anomaly in anomalies(again) if anomaly.id == night_alarm.id] == [end]


def test_night_without_readings_keeps_last_nights_alarm_open() -> None:
    synthetic = site(days=68)
    synthetic.flow[START:] += np.interp(np.arange(len(synthetic.flow) - START), [0, 900], [0.0, 3.0])
    synthetic.flow[66 * DAY - 180 : 66 * DAY + 400] = np.nan
    messages = learned(68).replay(synthetic.readings(LEARNED), forecasts=False)
    night_alarms = [anomaly for anomaly in anomalies(messages) if anomaly.method == "night"]
    states = [
        (anomaly.kind, anomaly.state, anomaly.at) for anomaly in night_alarms if anomaly.opened_at >= at_minute(START)
    ]
    assert states[0] == ("step", "opened", at_minute(65 * DAY + 300))
    assert {at for _, _, at in states[1:]} == {at_minute(67 * DAY + 300)}


@pytest.mark.parametrize(("flow", "open_keys"), [(3.0, []), (5.0, []), (1.2, ["last_night"]), (-3.0, ["last_night"])])
def test_last_nights_alarm_ends_when_another_explains_the_flow(flow: float, open_keys: list[str]) -> None:
    monitor, morning = SensorMonitor(Settings(), "001"), at_minute(65 * DAY + 300)
    step = Detection(trigger="last_night", channel="flow_rate", severity="warning", excess=3.0, excess_flow=3.0)
    list(monitor.alarms.raise_or_continue(morning, step))
    opened, *ended = monitor._update_alarms(morning + 60 * MINUTE, [shift_detection(flow)], True)
    assert [key for key in monitor.alarms.open if key != "shift"] == open_keys
    assert [(anomaly.state, anomaly.at) for anomaly in ended] == ([] if open_keys else [("cleared", opened.at)])
    assert monitor.model.flow.level_shift.baseline is not None


def test_rezoning_is_a_step_and_accepted_within_days() -> None:
    synthetic = site(days=72)
    synthetic.flow[START:] *= 1.25
    synthetic.pressure[START:] -= 0.15
    messages = learned(72, minutes=56 * DAY + 1).replay(synthetic.readings(56 * DAY + 1))
    after_it = [anomaly for anomaly in anomalies(messages) if anomaly.at >= at_minute(START)]
    assert {anomaly.kind for anomaly in after_it} == {"step"}
    (first, *_) = (anomaly for anomaly in after_it if anomaly.state == "cleared")
    assert first.at < at_minute(START + 6 * DAY)


@pytest.mark.parametrize(
    ("detection", "half_width"),
    [
        (replace(LEAK, interval_half_width=0.9, lost_volume=120.5, minutes_since_onset=3 * DAY), 0.9),
        (replace(LEAK, interval_half_width=2.0, lost_volume=60.0, minutes_since_onset=DAY), 2.0),
        (
            Detection(trigger="unit", as_kind="step", channel="flow_rate", severity="warning", value=7.0, excess=3.0),
            None,
        ),
        (Detection(trigger="unit", channel="flow_rate", severity="warning", value=7.0), None),
        (Detection(trigger="last_night", channel="flow_rate", severity="warning", excess=3.0, excess_flow=3.0), None),
        (Detection(trigger="drift", channel="pressure", severity="warning", value=7.0, excess=-0.3), None),
        (Detection(trigger="pressure_drop", channel="pressure", severity="warning", value=3.0, excess=-0.3), None),
    ],
    ids=lambda value: value.trigger if isinstance(value, Detection) else "",
)
def test_restored_anomaly_has_the_same_state(detection: Detection, half_width: float | None) -> None:
    monitor, at = SensorMonitor(Settings(), "001"), at_minute(START)
    raise_ = monitor.alarms.raise_leak if detection.trigger == "leak" else monitor.alarms.raise_or_continue
    (anomaly,) = raise_(at, detection)
    restarted = SensorMonitor(Settings(), "001")
    restarted.alarms.restore(anomaly)
    (before,), (after,) = monitor.alarms.open.values(), restarted.alarms.open.values()
    assert monitor.alarms.open.keys() == restarted.alarms.open.keys()
    assert (after.row, after.is_certain) == (before.row, before.is_certain)
    assert after.interval_half_width == half_width
    later = at + 90 * MINUTE
    assert list(restarted.alarms.clear(later, after.key)) == list(monitor.alarms.clear(later, before.key))


def test_estimates_are_those_of_the_text() -> None:
    monitor, at = SensorMonitor(Settings(), "001"), at_minute(START)
    detection = replace(shift_detection(5.0), interval_half_width=0.5, minutes_since_onset=59)
    (opening,) = monitor.alarms.raise_or_continue(at, detection)
    assert (opening.onset_at, opening.excess_interval_m3h) == (at - 59 * MINUTE, (4.5, 5.5))
    (end,) = monitor.alarms.clear(at + 61 * MINUTE, "shift")
    assert end.lost_m3 == pytest.approx(10.0)
    assert "5 ± 0.5 m³/h" in end.text.en
    assert "about 10 m³ lost" in end.text.en


def test_unit_change_has_no_lost_volume() -> None:
    monitor = SensorMonitor(Settings(), "001")
    unit = replace(shift_detection(500.0), trigger="unit", as_kind="step")
    (anomaly,) = monitor.alarms.raise_or_continue(at_minute(START), unit)
    assert (anomaly.kind, anomaly.trigger, anomaly.method, anomaly.lost_m3) == ("step", "unit", "value", None)
