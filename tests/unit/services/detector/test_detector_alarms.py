"""Scenes of a site, and the alarms that an operator gets of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache

import numpy as np
import pytest

from services.detector.findings import Finding
from services.detector.methods.units import looks_converted
from services.detector.methods.value import HOUR, HOUR_PLACE, Rise
from services.detector.watch import Watch
from shared.contract.messages import Channel, Kind, Message, Tick
from shared.settings import Settings
from tests.unit.services.detector.fakes import (
    MINUTE,
    Forecasts,
    KeptArchive,
    anomalies,
    detector,
    opened,
    replay,
    verdicts,
)
from tests.unit.services.detector.site import DAY, MONDAY, SHAPES, Site, make_site

START = 64 * DAY + 9 * 60
NIGHT = 64 * DAY + 40
LEAK = Finding("night", "flow_rate", "night", "leak", "warning", 20.0, 3.0, 3.0)
MIDNIGHT = 65 * DAY


def site(days: int = 66, shape: str = "homes", seed: int = 12) -> Site:
    return make_site(SHAPES[shape], days, seed)


@cache
def said_of(scene: str) -> tuple[Message, ...]:
    one = site()
    if scene == "burst":
        one.burst(NIGHT, 600, 0.5)
    elif scene == "stuck":
        one.stuck(START, 400)
    elif scene == "spike":
        one.wild("spike", START, 1, 2.5)
    elif scene == "unit":
        one.wild("unit", START, 120, 100.0)
    elif scene == "litres":
        one.wild("unit", START, 120, 1 / 3.6)
    elif scene == "unit after a gap over midnight":
        one.wild("unit", MIDNIGHT, 120, 10.0)
        readings = one.readings(stop=MIDNIGHT - 4) + one.readings(start=MIDNIGHT + 4)
        return tuple(replay(detector(), readings, Forecasts()))
    elif scene == "dropout":
        one.dropout(START, 60)
    elif scene == "low pressure":
        one.pressure[START : START + 600] -= 0.6
    elif scene == "broken main":
        one.burst(START, 600, 4.0)
    return tuple(replay(detector(), one.readings(), Forecasts()))


def since(minute: int) -> datetime:
    return MONDAY + minute * MINUTE


def after(scene: str, start: int = START) -> list[tuple[str, str]]:
    """(channel, kind) of what was opened from the event on."""
    return [(one.channel, one.kind) for one in opened(said_of(scene)) if one.at >= since(start)]


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
def test_an_event_is_called_by_its_name(scene: str, expected: tuple[str, str]) -> None:
    assert expected in after(scene)


def test_a_meter_that_changes_its_unit_is_told_as_such_at_once_and_until_it_changes_back() -> None:
    (jump,) = [one for one in opened(said_of("litres")) if since(START) <= one.at < since(START + 180)]
    assert (jump.channel, jump.kind, jump.at) == ("flow_rate", "out_of_range", since(START))
    assert "another unit" in jump.text.en
    assert "단위 설정" in jump.text.ko
    (end,) = [one for one in anomalies(said_of("litres")) if one.id == jump.id and one.state == "cleared"]
    assert since(START + 120) <= end.at < since(START + 140)
    flags = {
        one.flow_rate.system.flag for one in verdicts(said_of("litres")) if since(START) <= one.at < since(START + 120)
    }
    assert flags == {1}


def test_what_changed_in_a_gap_over_midnight_is_no_jump() -> None:
    first = next(one for one in verdicts(said_of("unit after a gap over midnight")) if one.at >= since(MIDNIGHT))
    assert (first.at, first.flow_rate.system.flag) == (since(MIDNIGHT + 4), 0)


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
def test_what_looks_like_another_unit(channel: Channel, value: float, expected: bool) -> None:
    assert looks_converted(channel, value, 10.0) is expected


def test_a_burst_is_one_anomaly_with_a_life() -> None:
    (first,) = [one for one in opened(said_of("burst")) if since(NIGHT) <= one.at < since(65 * DAY)]
    assert first.kind == "step"
    life = [one for one in anomalies(said_of("burst")) if one.id == first.id]
    assert life[0].state == "opened"
    assert life[-1].state == "cleared"
    assert {one.state for one in life[1:-1]} == {"updated"}
    assert len(life) < 25
    assert {one.kind for one in life if one.at - first.at < 3 * 60 * MINUTE} == {"step"}
    assert life[-1].kind == "burst"
    assert "burst" in life[-1].text.en.lower()
    assert (first.at - since(NIGHT)) <= 60 * MINUTE
    assert life[-1].excess_m3h == pytest.approx(30, rel=0.4)
    assert "m³/h" in first.text.ko


def test_a_broken_main_is_told_at_once() -> None:
    steps = [one for one in opened(said_of("broken main")) if one.at >= since(START) and one.kind == "step"]
    assert steps[0].channel == "flow_rate"
    assert steps[0].at - since(START) <= 10 * MINUTE
    life = [one for one in anomalies(said_of("broken main")) if one.id == steps[0].id]
    assert life[len(life) // 2].excess_m3h == pytest.approx(240, rel=0.1)


@pytest.mark.parametrize(
    ("channel", "flow", "hours"), [("flow_rate", 3.0, 72), ("flow_rate", -3.0, 12), ("pressure", 3.0, 12)]
)
def test_a_shift_that_stays_is_the_new_level_in_the_end(channel: Channel, flow: float, hours: int) -> None:
    watch, at = Watch(Settings(), "001"), since(START)
    gauge = watch.station.flow if channel == "flow_rate" else watch.station.pressure
    finding = Finding("usual", channel, "value", "step", "warning", 1.0, flow, flow)
    (anomaly,) = watch.alarms.found(at, finding)
    gauge.value.scales.sums += [float(minute) for minute in range(HOUR + 1)]
    gauge.value.held = Rise(level=0.0, size=1.0, excess=flow)
    assert anomaly.opened_at == at
    assert watch.goes_on(at + hours * HOUR * MINUTE - MINUTE)
    assert not watch.goes_on(at + hours * HOUR * MINUTE)


@pytest.mark.parametrize(("mean", "goes_on"), [(0.4, True), (0.2, True), (0.0, False), (-0.2, False)])
def test_what_rose_from_a_low_level_is_over_when_flow_is_as_usual(mean: float, goes_on: bool) -> None:
    watch = Watch(Settings(), "001")
    watch.station.flow.value.scales.sums += [mean * minute for minute in range(HOUR + 1)]
    watch.station.flow.value.held = Rise(level=-0.8, size=1.2, excess=3.0)
    assert watch.station.flow.value.goes_on() is goes_on


@pytest.mark.parametrize(("pulse", "each"), [(1.0, 1), (6.0, 6), (-6.0, 6)])
def test_what_most_minutes_of_a_pulsing_meter_lack_is_told_in_full(pulse: float, each: int) -> None:
    value = Watch(Settings(), "001").station.flow.value
    residuals = [0.0 if minute % each else pulse for minute in range(HOUR)]
    value._recent.extend(residuals)
    value.scales.sums += np.cumsum(residuals).tolist()
    value.scales.place = HOUR_PLACE
    assert value.excess() == pytest.approx(pulse / each)


def test_a_quiet_site_is_left_alone() -> None:
    late = [
        one for one in opened(said_of("")) if one.opened_at >= site().readings(start=56 * DAY, stop=56 * DAY + 1)[0].at
    ]
    assert len(late) <= 1


def test_a_slow_leak_is_found_by_its_nights() -> None:
    one = site(days=75, seed=13)
    one.leak(60 * DAY, 15 * DAY, 0.15, 4 * DAY)
    found = [
        each
        for each in opened(replay(detector(), one.readings()))
        if each.opened_at >= one.readings(start=60 * DAY, stop=60 * DAY + 1)[0].at
    ]
    assert {each.kind for each in found} & {"leak", "burst"}


def test_a_leak_that_grows_for_days_is_few_alarms() -> None:
    one = site(days=100, seed=15)
    one.leak(60 * DAY, 35 * DAY, 0.15, 10 * DAY)
    said = opened(replay(detector(), one.readings(stop=95 * DAY)))
    found = [each.kind for each in said if each.opened_at >= since(60 * DAY)]
    assert found.count("leak") == 1
    assert len(found) <= 4


def usual(flow: float | None, channel: Channel = "flow_rate", kind: Kind = "step") -> Finding:
    return Finding("usual", channel, "value", kind, "warning", 70.0, flow, flow)


@pytest.mark.parametrize(
    ("unusual", "left"),
    [
        (usual(3.0), ["night"]),
        (usual(5.0), ["night"]),
        (usual(7.0), ["usual"]),
        (usual(1.2), ["usual"]),
        (usual(-3.0), ["usual"]),
        (usual(3.0, kind="burst"), ["usual"]),
        (usual(3.0, "pressure", "pressure_drop"), ["usual"]),
    ],
)
def test_a_leak_takes_the_place_of_a_step_of_as_much(unusual: Finding, left: list[str]) -> None:
    watch, morning = Watch(Settings(), "001"), since(65 * DAY + 300)
    list(watch.alarms.found(morning - 200 * MINUTE, unusual))
    said = list(watch.alarms.lasts(morning, LEAK))
    assert list(watch.alarms.open) == left
    assert [(one.kind, one.state) for one in said] == (
        [("step", "cleared"), ("leak", "opened")] if left == ["night"] else []
    )


@pytest.mark.parametrize("end", ["a leak", "the clock's return"])
def test_no_level_is_held_once_something_else_has_ended_what_held_it(end: str) -> None:
    watch, morning = Watch(Settings(), "001"), since(65 * DAY + 300)
    list(watch._alarm(morning - 200 * MINUTE, [usual(3.0)], True))
    assert watch.station.flow.value.held is not None
    alarms = watch.alarms
    list(watch._told(alarms.lasts(morning, LEAK) if end == "a leak" else alarms.leave(morning - DAY * MINUTE, morning)))
    assert watch.station.flow.value.held is None


def test_during_works_a_leak_takes_nothings_place() -> None:
    watch, morning = Watch(Settings(), "001"), since(65 * DAY + 300)
    list(watch.alarms.found(morning - 200 * MINUTE, usual(3.0)))
    watch.alarms.quiet = True
    assert not list(watch.alarms.lasts(morning, LEAK))
    assert list(watch.alarms.open) == ["usual"]


@pytest.mark.parametrize(
    ("unusual", "told"),
    [
        (usual(0.5), False),
        (usual(5.9), False),
        (usual(6.1), True),
        (usual(-3.0), True),
        (usual(None), True),
        (usual(3.0, "pressure", "pressure_drop"), True),
    ],
)
def test_what_an_open_leak_may_have_grown_to_is_no_alarm_of_its_own(unusual: Finding, told: bool) -> None:
    watch, morning = Watch(Settings(), "001"), since(65 * DAY + 300)
    list(watch.alarms.lasts(morning, LEAK))
    assert bool(list(watch._alarm(morning + 60 * MINUTE, [unusual], True))) is told


@pytest.mark.parametrize(("doubt", "nights"), [(0.9, 2), (1.1, 1), (None, 1)])
def test_the_end_of_a_leak_beyond_doubt_is_confirmed_by_another_night(doubt: float | None, nights: int) -> None:
    watch, morning = Watch(Settings(), "001"), since(65 * DAY + 300)
    list(watch.alarms.lasts(morning, replace(LEAK, doubt=doubt)))
    list(watch.alarms.lasts(morning + DAY * MINUTE, replace(LEAK, doubt=2.0)))
    said = [list(watch.alarms.calm(morning + night * DAY * MINUTE, "night")) for night in range(2, 2 + nights)]
    assert [len(ends) for ends in said] == [0] * (nights - 1) + [1]


def test_silence_opens_after_ten_ticks_and_ends_with_the_next_reading() -> None:
    watch = detector()
    *past, last = site().readings(stop=60)
    replay(watch, past, ticks=True)
    found = [watch.handle(Tick("site1", past[-1].at + minutes * MINUTE)) for minutes in range(1, 15)]
    (silence,) = anomalies(one for said in found for one in said)
    assert (silence.kind, silence.state) == ("silence", "opened")
    assert silence.at == past[-1].at + 9 * MINUTE or silence.at == past[-1].at + 10 * MINUTE
    (*_, cleared) = replay(watch, [last])
    assert cleared in anomalies([cleared])
    assert (cleared.id, cleared.state) == (silence.id, "cleared")


def test_an_open_leak_outlives_a_restart() -> None:
    one = site(days=78, seed=13)
    one.leak(60 * DAY, 15 * DAY, 0.15, 4 * DAY)
    some, cut = one.readings(), 70 * DAY + 700
    first = detector()
    before, after = list(replay(first, some[:cut])), list(replay(first, some[cut:]))
    again = detector(KeptArchive(some[:cut], before))
    (leak,) = [said for said in anomalies(again.start()) if said.kind == "leak" and said.state != "cleared"]
    ends = [said for said in anomalies(after) if said.id == leak.id]
    assert ends[-1].state == "cleared"
    assert [said for said in anomalies(replay(again, some[cut:])) if said.id == leak.id] == ends


def test_a_burst_by_day_that_only_the_night_shows_is_told_in_the_morning_and_over_the_next_one() -> None:
    one = site(days=67, seed=14)
    one.flow[START : START + DAY] += np.interp(np.arange(DAY), [0, 900, DAY], [0.0, 3.0, 3.0])
    some, cut = one.readings(), 65 * DAY + 700
    first = detector()
    before, after = list(replay(first, some[:cut])), list(replay(first, some[cut:]))
    (said,) = (one for one in anomalies(before) if one.opened_at >= since(START) and one.method == "night")
    assert (said.kind, said.state, said.at) == ("step", "opened", since(65 * DAY + 300))
    assert said.excess_m3h == pytest.approx(3.0, abs=1.5)
    again = detector(KeptArchive(some[:cut], before))
    assert said in list(again.start())
    (end,) = (one for one in anomalies(after) if one.id == said.id)
    assert (end.state, end.at) == ("cleared", since(66 * DAY + 300))
    assert [one for one in anomalies(replay(again, some[cut:])) if one.id == said.id] == [end]


def test_a_night_without_readings_leaves_the_alarm_of_the_night_before() -> None:
    one = site(days=68)
    one.flow[START:] += np.interp(np.arange(len(one.flow) - START), [0, 900], [0.0, 3.0])
    one.flow[66 * DAY - 180 : 66 * DAY + 400] = np.nan
    found = [said for said in anomalies(replay(detector(), one.readings())) if said.method == "night"]
    states = [(said.kind, said.state, said.at) for said in found if said.opened_at >= since(START)]
    assert states[0] == ("step", "opened", since(65 * DAY + 300))
    assert {at for _, _, at in states[1:]} == {since(67 * DAY + 300)}


@pytest.mark.parametrize(("flow", "left"), [(3.0, []), (5.0, []), (1.2, ["last_night"]), (-3.0, ["last_night"])])
def test_water_that_another_alarm_tells_of_is_last_nights_no_longer(flow: float, left: list[str]) -> None:
    watch, morning = Watch(Settings(), "001"), since(65 * DAY + 300)
    night = Finding("last_night", "flow_rate", "night", "step", "warning", None, 3.0, 3.0, wording="last_night")
    list(watch.alarms.found(morning, night))
    opened, *ended = watch._alarm(morning + 60 * MINUTE, [usual(flow)], True)
    assert [key for key in watch.alarms.open if key != "usual"] == left
    assert [(one.state, one.at) for one in ended] == ([] if left else [("cleared", opened.at)])
    assert watch.station.flow.value.held is not None


def test_a_re_zoned_district_is_a_step_and_usual_within_days() -> None:
    one = site(days=72)
    one.flow[START:] *= 1.25
    one.pressure[START:] -= 0.15
    after_it = [said for said in anomalies(replay(detector(), one.readings(), Forecasts())) if said.at >= since(START)]
    assert {said.kind for said in after_it} == {"step"}
    (first, *_) = (said for said in after_it if said.state == "cleared")
    assert first.at < since(START + 6 * DAY)
