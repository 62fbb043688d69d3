"""Whether the time of a reading is believed."""

from __future__ import annotations

from datetime import datetime

import pytest

from shared.domain.reading_clock import JUMP_RUN, LATE_RUN, ReadingClock

NOW = int(datetime.fromisoformat("2026-11-23T14:00Z").timestamp()) // 60
Y2000 = int(datetime.fromisoformat("2000-01-01T00:00Z").timestamp()) // 60
YEAR, DAY = 365 * 1440, 1440


def decided(clock: ReadingClock, *minutes: int) -> list[str]:
    return [clock.decide("001", minute) for minute in minutes]


def test_rows_of_the_future_are_doubted_and_the_present_goes_on() -> None:
    clock = ReadingClock(NOW)
    assert decided(clock, NOW, NOW + 10 * YEAR, NOW + 10 * YEAR + 1, NOW + 1) == ["ok", "doubted", "doubted", "ok"]


def test_first_reading_of_a_sensor_in_the_future_is_doubted() -> None:
    assert decided(ReadingClock(NOW), NOW + YEAR) == ["doubted"]


def test_outage_is_believed_at_once_as_the_sites_clock_agrees() -> None:
    assert decided(ReadingClock(NOW), NOW - 5 * DAY, NOW, NOW + 60) == ["ok"] * 3


def test_gap_within_a_backlog_is_believed() -> None:
    assert decided(ReadingClock(NOW), NOW - 5 * DAY, NOW - 3 * DAY) == ["ok"] * 2


@pytest.mark.parametrize("now", [None, 0, NOW - DAY])
def test_readings_that_go_on_ahead_of_a_wrong_clock_are_confirmed(now: int | None) -> None:
    clock = ReadingClock(now, lambda _: NOW - DAY)
    assert decided(clock, *range(NOW, NOW + 8)) == ["doubted"] * (JUMP_RUN - 1) + ["ok"] * 3


def test_alternating_clocks_confirm_nothing() -> None:
    clock = ReadingClock(NOW)
    ahead = [decided(clock, NOW + minute, NOW + YEAR + minute)[1] for minute in range(50)]
    assert set(ahead) == {"doubted"}


def test_meter_set_back_is_followed_until_it_reaches_its_former_time() -> None:
    clock = ReadingClock(NOW)
    decided(clock, NOW)
    back = decided(clock, *range(NOW - 30 * DAY, NOW - 30 * DAY + LATE_RUN + 4))
    assert back == ["ok"] * (LATE_RUN - 1) + ["set_back"] * 5
    assert decided(clock, NOW + 1) == ["ok"]


def test_late_readings_between_present_ones_set_nothing_back() -> None:
    clock = ReadingClock(NOW)
    pairs = [decided(clock, NOW + minute, NOW - DAY + minute) for minute in range(200)]
    assert {tuple(pair) for pair in pairs} == {("ok", "ok")}


def test_repeated_readings_set_nothing_back() -> None:
    clock = ReadingClock(NOW)
    decided(clock, NOW)
    assert {clock.decide("001", NOW - DAY + minute, is_repeated=True) for minute in range(200)} == {"ok"}


def test_clock_that_was_never_set_is_doubted() -> None:
    assert decided(ReadingClock(), Y2000, Y2000 + 1, NOW) == ["doubted", "doubted", "ok"]
    clock = ReadingClock(NOW)
    assert decided(clock, NOW, Y2000, NOW + 1) == ["ok", "doubted", "ok"]


def test_recording_of_long_ago_is_believed_after_an_hour() -> None:
    clock = ReadingClock()
    decisions = decided(clock, *range(Y2000, Y2000 + 100))
    assert decisions == ["doubted"] * (LATE_RUN - 1) + ["ok"] * (101 - LATE_RUN)
