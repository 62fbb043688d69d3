"""Ticks through every leap of the machine's clock: never backwards, never silent, never far ahead on a mere word."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.tick_clock import TickClock

NOW = int(datetime.fromisoformat("2026-11-24T10:00+09:00").timestamp()) // 60
HOUR, DAY, YEAR = 60, 1440, 365 * 1440


def minutes(last: int | None = NOW) -> TickClock:
    return TickClock(last, lambda _: None)


def closed(watched: TickClock, clock: range, meter: int | None = None) -> list[int | None]:
    """What is closed while the clock goes through a range; `meter` is how far the meter's readings are from it."""
    found = []
    for minute in clock:
        if meter is not None:
            watched.observe_reading(minute + meter)
        found.append(watched.next_tick(minute))
    return found


def test_the_first_minute_is_the_clocks_and_then_one_follows_the_other() -> None:
    watched = minutes(None)
    assert closed(watched, range(NOW, NOW + 5)) == [*range(NOW, NOW + 5)]
    assert not watched.warning


@given(st.lists(st.integers(-2 * YEAR, 2 * YEAR), max_size=30), st.booleans())
def test_no_minute_is_closed_twice_and_none_is_long_in_coming_whatever_the_clock_does(
    leaps: list[int], live: bool
) -> None:
    watched, clock = minutes(), NOW
    for leap in leaps:
        clock += leap
        found = closed(watched, range(clock, clock + 8), 0 if live else None)
        clock += 8
        told = [minute for minute in found if minute is not None]
        assert len(told) >= 4
        assert all(before < after for before, after in pairwise(told))


def test_the_newest_minute_is_kept_before_it_is_told() -> None:
    kept: list[int] = []
    assert TickClock(NOW, kept.append).next_tick(NOW + 1) == kept[-1] == NOW + 1


def test_a_step_of_up_to_an_hour_ahead_is_followed() -> None:
    assert closed(minutes(), range(NOW + HOUR, NOW + HOUR + 2)) == [NOW + HOUR, NOW + HOUR + 1]


def test_after_a_step_back_minutes_go_at_half_pace_until_the_clock_has_caught_up() -> None:
    watched = minutes()
    found = closed(watched, range(NOW - 63, NOW + 80))
    assert [minute for minute in found if minute is not None] == [*range(NOW + 1, NOW + 80)]
    assert found[:4] == [None, NOW + 1, None, NOW + 2]
    assert found[-10:] == [*range(NOW + 70, NOW + 80)]
    quiet = watched.warning
    closed(watched, range(NOW + 16, NOW + 20))
    assert not quiet
    assert "went back: minutes pass at half pace until it has made up for 61 minutes" in watched.warning


def test_a_year_ahead_at_boot_is_not_followed_and_forgotten_when_the_clock_is_right_again() -> None:
    watched = minutes()
    assert closed(watched, range(NOW + YEAR, NOW + YEAR + 30)) == [*range(NOW + 1, NOW + 31)]
    assert "leapt 365 days ahead" in watched.warning
    assert closed(watched, range(NOW + 33, NOW + 36)) == [NOW + 33, NOW + 34, NOW + 35]
    assert not watched.warning


def test_1970_at_boot_is_not_followed_and_the_truth_is() -> None:
    watched = minutes()
    assert closed(watched, range(10)) == [*range(NOW + 1, NOW + 11)]
    assert "behind what it was" in watched.warning
    assert closed(watched, range(NOW + 12, NOW + 14)) == [NOW + 12, NOW + 13]


def test_a_first_start_in_1970_follows_to_the_truth_at_once() -> None:
    watched = minutes(None)
    assert closed(watched, range(5, 8)) == [5, 6, 7]
    assert closed(watched, range(NOW, NOW + 2)) == [NOW, NOW + 1]


def test_a_first_start_a_year_ahead_goes_on_at_pace_when_the_clock_is_set_right() -> None:
    watched = minutes(None)
    closed(watched, range(NOW + YEAR, NOW + YEAR + 5))
    assert closed(watched, range(NOW, NOW + 50)) == [*range(NOW + YEAR + 5, NOW + YEAR + 55)]
    assert "365 days behind what it was" in watched.warning


def test_a_machine_that_was_off_for_a_month_is_believed_when_a_reading_says_the_same() -> None:
    watched = minutes()
    clock = NOW + 30 * DAY
    assert closed(watched, range(clock, clock + 3), meter=-2) == [clock, clock + 1, clock + 2]


def test_without_a_reading_it_is_believed_after_ten_minutes_for_each_day() -> None:
    watched = minutes()
    clock = NOW + 3 * DAY
    found = closed(watched, range(clock, clock + 40))
    first = next(number for number, minute in enumerate(found) if minute == clock + number)
    assert 30 <= first <= 32
    assert found[first:] == [*range(clock + first, clock + 40)]
    assert not watched.warning


def test_a_backlog_confirms_nothing_and_is_no_other_time() -> None:
    watched = minutes()
    clock = NOW + YEAR
    for number in range(30):
        watched.observe_reading(NOW - 30 * DAY + 500 * number)
        assert watched.next_tick(clock + number) == NOW + 1 + number
    assert "leapt" in watched.warning


def test_it_is_said_when_the_meter_and_the_machine_differ() -> None:
    watched = minutes()
    closed(watched, range(NOW + 1, NOW + 30), meter=-3 * HOUR)
    assert watched.warning == "the meter's clock is 3 hours behind this machine's: set the wrong one"
    closed(watched, range(NOW + 30, NOW + 34), meter=0)
    assert not watched.warning
