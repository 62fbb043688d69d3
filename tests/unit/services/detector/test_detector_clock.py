"""What is said when the meter's clock was wrong: in words that name how far, which way and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.detector.service import Detector
from shared.contract.messages import Message, Reading, Tick
from tests.unit.services.detector.fakes import MINUTE, anomalies, detector, foretold, opened, verdicts
from tests.unit.services.detector.fakes import replay as judged
from tests.unit.services.detector.site import SHAPES, make_site

NINE = 9 * 60 + 6
"""Readings up to 09:06 of the first day."""
READINGS = make_site(SHAPES["homes"], 2, seed=4).readings()


def moved(readings: Iterable[Reading], minutes: int) -> list[Reading]:
    return [replace(one, at=one.at + timedelta(minutes=minutes)) for one in readings]


def clocks(said: Iterable[Message]) -> list[tuple[str, str]]:
    return [(one.text.ko, one.text.en) for one in opened(said) if one.kind == "clock"]


@pytest.mark.parametrize(
    ("back", "korean", "english"),
    [
        (63, "63분 뒤로 갔습니다", "went 63 minutes back"),
        (9 * 60, "9시간 뒤로 갔습니다", "went 9 hours back"),
        (365 * 1440, "365일 뒤로 갔습니다", "went 365 days back"),
    ],
)
def test_how_far_the_clock_went_back_and_when(back: int, korean: str, english: str) -> None:
    said = judged(detector(), [*READINGS[:NINE], *moved(READINGS[NINE : NINE + 30], -back)])
    assert clocks(said) == [
        (
            f"001 계측 시각이 2025-03-03 09:06에 {korean}. 계측기 시계를 맞추세요.",
            f"The clock of 001 {english} at 2025-03-03 09:06. Set the meter's clock.",
        )
    ]
    known = [one.at for one in verdicts(said)]
    assert len(set(known)) == len(known) >= NINE + (30 if back > 1440 else 0)


def test_a_leap_ahead_that_came_back_is_told_as_such() -> None:
    said = judged(detector(), [*READINGS[:NINE], *moved(READINGS[NINE:][:2], 365 * 1440), *READINGS[NINE + 2 : 700]])
    assert clocks(said) == [
        (
            "001 계측 시각이 2025-03-03 09:08에 365일 앞섰다가 돌아왔습니다. 계측기 시계를 맞추세요.",
            "The clock of 001 leapt 365 days ahead and came back at 2025-03-03 09:08. Set the meter's clock.",
        )
    ]
    assert [one.state for one in anomalies(said) if one.kind == "clock"][-1] == "cleared"


def test_what_was_opened_in_a_year_to_come_is_cleared_when_the_meter_stays_back() -> None:
    year = 365 * 1440
    flat = [replace(one, flow_rate=None) if one.seq > 700 else one for one in READINGS[:720]]
    said = judged(detector(), [*moved(flat, year), *READINGS[720:800]])
    last = {one.id: one.state for one in anomalies(said)}
    assert {one.kind for one in opened(said)} == {"silence", "clock"}
    assert set(last.values()) == {"cleared"}


def test_a_leap_that_lasted_is_told_when_the_clock_has_come_back_and_not_in_its_future() -> None:
    said = judged(detector(), [*READINGS[:NINE], *moved(READINGS[NINE:][:90], 1440), *READINGS[NINE + 90 :][:200]])
    (clock,) = [one for one in opened(said) if one.kind == "clock"]
    assert clock.opened_at == READINGS[NINE + 92].at
    assert "leapt 24 hours ahead and came back at 2025-03-03 10:38" in clock.text.en


def test_a_clock_that_was_set_back_for_hours_opens_nothing_in_the_past_and_forgets_no_days() -> None:
    some = make_site(SHAPES["homes"], 40, seed=4).readings()
    fault = 39 * 1440 + NINE
    watch = detector()
    said = live(watch, some[:fault])
    said += live(watch, moved(some[fault:][:90], -30 * 1440))
    for reading in some[fault:][:90]:
        said += watch.handle(Tick("site1", reading.at))
    said += live(watch, some[fault + 90 : fault + 200])
    assert [one.kind for one in opened(said) if one.kind == "clock"] == ["clock"]
    assert all(one.opened_at >= some[fault].at for one in opened(said) if one.kind in ("clock", "silence"))
    assert len(watch._posts["001"].watch.station.memory.days) == 39


def test_what_was_opened_in_the_past_of_a_wrong_clock_ends_there() -> None:
    one = make_site(SHAPES["homes"], 40, seed=4)
    fault = 39 * 1440 + NINE
    one.burst(fault + 70, 60, 2.0)
    some = one.readings()
    wrong = moved(some[fault:][:130], -30 * 1440)
    said = judged(detector(), [*some[:fault], *wrong, *some[fault + 130 :][:60]])
    (step,) = [each for each in opened(said) if each.kind == "step" and each.at in {reading.at for reading in wrong}]
    end = [each for each in anomalies(said) if each.id == step.id][-1]
    assert (end.state, end.cleared_at) == ("cleared", wrong[-1].at)


def live(watch: Detector, readings: Iterable[Reading], late: int = 0) -> list[Message]:
    """Readings with a tick behind each, and the prediction of each hour a minute after its first reading."""
    said: list[Message] = []
    for reading in readings:
        said += watch.handle(reading)
        if reading.at.minute == late:
            said += watch.handle(foretold(reading.at.replace(minute=0), 60.0, 4.0))
        said += watch.handle(Tick("site1", reading.at))
    return said


def test_one_reading_of_another_year_stops_no_predictions() -> None:
    plain, watch = detector(), detector()
    live(plain, READINGS[:NINE])
    live(watch, READINGS[:NINE])
    list(watch.handle(moved(READINGS[NINE:], 365 * 1440)[0]))
    for one in (plain, watch):
        list(one.handle(Tick("site1", READINGS[NINE].at)))
    live(plain, READINGS[NINE + 1 : 2 * 1440])
    said = live(watch, READINGS[NINE + 1 : 2 * 1440])
    hour = READINGS[1440 + 600].at
    assert watch._posts["001"].hour == plain._posts["001"].hour
    assert [one.at for one in verdicts(said) if one.at.minute == 0][-1] > hour


def test_a_silence_is_dated_by_the_meter_when_the_tick_is_of_another_year() -> None:
    watch = detector()
    live(watch, READINGS[:NINE])
    last = READINGS[NINE - 1].at
    said = [m for n in range(12) for m in watch.handle(Tick("site1", last + timedelta(days=365) + n * MINUTE))]
    assert [(one.kind, one.opened_at) for one in opened(said)] == [("silence", last + timedelta(minutes=10))]


def test_both_hours_that_clocks_give_twice_are_judged_with_predictions_of_their_own() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    begin = datetime.fromisoformat("2026-10-25T00:00+00:00")
    watch, seen = detector(), []
    for number in range(180):
        local = (begin + number * MINUTE).astimezone(berlin)
        at = datetime.fromisoformat(local.isoformat())
        reading = replace(READINGS[0], at=at, seq=number)
        if at.minute == 0:
            list(watch.handle(foretold(at, 10.0 + number, 4.0)))
        assert len(verdicts(watch.handle(reading))) == 1
        seen.append(watch._posts["001"].watch.station.flow.prediction._expected)
    assert [seen[number] for number in (30, 90, 150)] == [10.0, 70.0, 130.0]
