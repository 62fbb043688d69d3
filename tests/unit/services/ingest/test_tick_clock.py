"""Ticks through clock jumps: never backwards, never silent, and never far ahead without confirmation."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.tick_clock import TickClock

NOW = int(datetime.fromisoformat("2026-11-24T10:00+09:00").timestamp()) // 60
HOUR, DAY, YEAR = 60, 1440, 365 * 1440


def make_clock(last: int | None = NOW) -> TickClock:
    return TickClock(last, lambda _: None)


def closed(tick_clock: TickClock, clock: range, meter: int | None = None) -> list[int | None]:
    """Return the minutes that close while the clock passes a range; `meter` is the offset of the readings."""
    minutes_closed = []
    for minute in clock:
        if meter is not None:
            tick_clock.observe_reading(minute + meter)
        minutes_closed.append(tick_clock.next_tick(minute))
    return minutes_closed


def text_of(tick_clock: TickClock) -> str:
    """Return the English text of the clock's problem, empty for none."""
    return tick_clock.problem.text.en if tick_clock.problem else ""


def test_first_minute_is_the_clocks_and_the_next_ones_follow() -> None:
    tick_clock = make_clock(None)
    assert closed(tick_clock, range(NOW, NOW + 5)) == [*range(NOW, NOW + 5)]
    assert not tick_clock.problem


@given(st.lists(st.integers(-2 * YEAR, 2 * YEAR), max_size=30), st.booleans())
def test_no_minute_closes_twice_and_none_is_long_delayed_on_any_clock(leaps: list[int], live: bool) -> None:
    tick_clock, clock = make_clock(), NOW
    for leap in leaps:
        clock += leap
        minutes_closed = closed(tick_clock, range(clock, clock + 8), 0 if live else None)
        clock += 8
        closed_minutes = [minute for minute in minutes_closed if minute is not None]
        assert len(closed_minutes) >= 4
        assert all(before < after for before, after in pairwise(closed_minutes))


def test_newest_minute_is_saved_before_it_is_published() -> None:
    saved: list[int] = []
    assert TickClock(NOW, saved.append).next_tick(NOW + 1) == saved[-1] == NOW + 1


def test_step_of_up_to_an_hour_ahead_is_followed() -> None:
    assert closed(make_clock(), range(NOW + HOUR, NOW + HOUR + 2)) == [NOW + HOUR, NOW + HOUR + 1]


def test_after_a_setback_ticks_run_at_half_pace_until_the_clock_has_caught_up() -> None:
    tick_clock = make_clock()
    minutes_closed = closed(tick_clock, range(NOW - 63, NOW + 80))
    assert [minute for minute in minutes_closed if minute is not None] == [*range(NOW + 1, NOW + 80)]
    assert minutes_closed[:4] == [None, NOW + 1, None, NOW + 2]
    assert minutes_closed[-10:] == [*range(NOW + 70, NOW + 80)]
    quiet = tick_clock.problem
    closed(tick_clock, range(NOW + 16, NOW + 20))
    assert not quiet
    assert "was set back: ticks run at half pace until it has caught up 61 minutes" in text_of(tick_clock)


def test_year_ahead_at_boot_is_ignored_until_the_clock_is_right() -> None:
    tick_clock = make_clock()
    assert closed(tick_clock, range(NOW + YEAR, NOW + YEAR + 30)) == [*range(NOW + 1, NOW + 31)]
    assert "jumped 365 days ahead" in text_of(tick_clock)
    assert closed(tick_clock, range(NOW + 33, NOW + 36)) == [NOW + 33, NOW + 34, NOW + 35]
    assert not tick_clock.problem


def test_clock_of_1970_at_boot_is_ignored_and_the_correct_one_followed() -> None:
    tick_clock = make_clock()
    assert closed(tick_clock, range(10)) == [*range(NOW + 1, NOW + 11)]
    assert "behind its earlier time" in text_of(tick_clock)
    assert closed(tick_clock, range(NOW + 12, NOW + 14)) == [NOW + 12, NOW + 13]


def test_first_start_in_1970_follows_the_correct_clock_at_once() -> None:
    tick_clock = make_clock(None)
    assert closed(tick_clock, range(5, 8)) == [5, 6, 7]
    assert closed(tick_clock, range(NOW, NOW + 2)) == [NOW, NOW + 1]


def test_first_start_a_year_ahead_continues_at_pace_after_the_correction() -> None:
    tick_clock = make_clock(None)
    closed(tick_clock, range(NOW + YEAR, NOW + YEAR + 5))
    assert closed(tick_clock, range(NOW, NOW + 50)) == [*range(NOW + YEAR + 5, NOW + YEAR + 55)]
    assert "365 days behind its earlier time" in text_of(tick_clock)


def test_month_off_is_accepted_when_a_reading_confirms_it() -> None:
    tick_clock = make_clock()
    clock = NOW + 30 * DAY
    assert closed(tick_clock, range(clock, clock + 3), meter=-2) == [clock, clock + 1, clock + 2]


def test_clock_jump_is_accepted_after_ten_minutes_per_day_without_readings() -> None:
    tick_clock = make_clock()
    clock = NOW + 3 * DAY
    minutes_closed = closed(tick_clock, range(clock, clock + 40))
    first = next(number for number, minute in enumerate(minutes_closed) if minute == clock + number)
    assert 30 <= first <= 32
    assert minutes_closed[first:] == [*range(clock + first, clock + 40)]
    assert not tick_clock.problem


def test_backlog_neither_confirms_nor_contradicts_the_clock() -> None:
    tick_clock = make_clock()
    clock = NOW + YEAR
    for number in range(30):
        tick_clock.observe_reading(NOW - 30 * DAY + 500 * number)
        assert tick_clock.next_tick(clock + number) == NOW + 1 + number
    assert "jumped" in text_of(tick_clock)


def test_clock_difference_between_meter_and_machine_is_reported() -> None:
    tick_clock = make_clock()
    closed(tick_clock, range(NOW + 1, NOW + 30), meter=-3 * HOUR)
    assert text_of(tick_clock) == "the meter's clock is 3 hours behind this machine's: correct the wrong clock"
    closed(tick_clock, range(NOW + 30, NOW + 34), meter=0)
    assert not tick_clock.problem
