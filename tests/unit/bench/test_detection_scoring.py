"""The event-level score, on cases small enough to count by hand."""

from __future__ import annotations

import math

import pytest

from bench.detection.events import Event
from bench.detection.scoring import Alarm, Score, score
from shared.domain.series import DAY, HOUR, WEEK

START = 0
STOP = 10 * WEEK


def test_a_burst_is_found_by_an_alarm_while_it_lasts_and_its_delay_is_counted_from_the_onset() -> None:
    burst = Event("burst", WEEK, WEEK + 6 * HOUR, 0.12)
    found = score([Alarm("burst", WEEK + HOUR, WEEK + 2 * HOUR)], [burst], START, STOP)
    assert found.recall("burst") == found.recall("large_burst") == 1.0
    assert found.delay("burst") == 60.0
    assert found.false == 0


def test_an_alarm_of_the_meter_finds_no_burst() -> None:
    burst = Event("burst", WEEK, WEEK + 6 * HOUR, 0.05)
    found = score([Alarm("stuck", WEEK + HOUR, WEEK + 2 * HOUR)], [burst], START, STOP)
    assert found.recall("burst") == 0.0
    assert found.events["large_burst"] == 0


def test_any_alarm_finds_a_fault() -> None:
    fault = Event("unit_jump", WEEK, WEEK + HOUR)
    assert score([Alarm("step", WEEK, WEEK + 60)], [fault], START, STOP).recall("unit_jump") == 1.0


def test_an_alarm_before_or_long_after_an_event_is_false_and_one_that_settles_is_not() -> None:
    burst = Event("burst", 2 * WEEK, 2 * WEEK + HOUR, 0.05)
    moments = (2 * WEEK - HOUR, 2 * WEEK + DAY, 2 * WEEK + 3 * DAY)
    found = score([Alarm("step", at, at + 60) for at in moments], [burst], START, STOP)
    assert found.false == 2
    assert found.hits["burst"] == 0


def test_an_open_alarm_counts_where_it_starts_and_once_a_day_while_it_lasts() -> None:
    assert score([Alarm("leak", WEEK, WEEK + 2 * DAY + HOUR)], [], START, STOP).false == 3


def test_false_alarms_are_counted_a_week_of_time_outside_events() -> None:
    leak = Event("leak", WEEK, 6 * WEEK - 3 * DAY, 0.1)
    found = score([Alarm("burst", 8 * WEEK, 8 * WEEK + 60)], [leak], START, STOP)
    assert found.weeks == pytest.approx(5.0)
    assert found.false_per_week == pytest.approx(0.2)


def test_a_leak_that_is_found_late_is_not_found() -> None:
    leak = Event("leak", WEEK, 6 * WEEK, 0.1)
    late = score([Alarm("leak", 4 * WEEK, 5 * WEEK)], [leak], START, STOP)
    soon = score([Alarm("leak", 2 * WEEK, 5 * WEEK)], [leak], START, STOP)
    assert (late.recall("leak"), soon.recall("leak")) == (0.0, 1.0)
    assert soon.delay("leak") == 7 * 24 * 60


def test_recall_is_corrected_for_what_alarms_at_random_times_would_find() -> None:
    length = DAY
    events = [Event("burst", week * WEEK, week * WEEK + length, 0.05) for week in (2, 4)]
    hit = Alarm("burst", 2 * WEEK + HOUR, 2 * WEEK + 2 * HOUR)
    false = [Alarm("burst", at, at + 60) for at in (6 * WEEK, 7 * WEEK, 8 * WEEK)]
    found = score([hit, *false], events, START, STOP)
    luck = 1 - math.exp(-3 / (found.weeks * WEEK) * (length + 1800))
    assert found.recall("burst") == pytest.approx((0.5 - luck) / (1 - luck))


def test_nothing_is_said_of_recall_where_most_finds_are_luck() -> None:
    leak = Event("leak", 5 * WEEK, 9 * WEEK, 0.1)
    noise = [Alarm("burst", at, at + 60) for at in range(START, 5 * WEEK, DAY // 2)]
    assert math.isnan(score(noise, [leak], START, STOP).recall("leak"))


def test_a_legitimate_event_may_be_alarmed_but_not_called_a_loss() -> None:
    flushing, holiday = Event("flushing", WEEK, WEEK + HOUR, 0.5), Event("holiday", 3 * WEEK, 3 * WEEK + DAY)
    alarms = [Alarm("step", WEEK, WEEK + 60), Alarm("leak", 3 * WEEK, 3 * WEEK + 60)]
    found = score(alarms, [flushing, holiday], START, STOP)
    assert found.false == 0
    assert found.legitimate_called_loss == 0.5
    assert found.named["flushing", "step"] == found.named["holiday", "leak"] == 1


def test_a_holiday_during_a_leak_is_not_called_wrongly() -> None:
    events = [Event("leak", WEEK, 5 * WEEK, 0.1), Event("holiday", 3 * WEEK, 3 * WEEK + DAY)]
    found = score([Alarm("leak", 3 * WEEK, 4 * WEEK)], events, START, STOP)
    assert found.events["holiday"] == found.called_loss == 0


def test_what_happens_while_limits_are_learned_only_excuses_alarms() -> None:
    early = Event("burst", WEEK, WEEK + HOUR, 0.2)
    found = score([Alarm("burst", WEEK, WEEK + 60), Alarm("burst", 0, 60)], [early], WEEK + 1, STOP)
    assert (found.events["burst"], found.false) == (0, 0)


def test_scores_of_sites_add_up() -> None:
    fault = Event("stuck", WEEK, WEEK + HOUR)
    one = score([Alarm("stuck", WEEK, WEEK + 60)], [fault], START, STOP)
    other = score([Alarm("step", 2 * WEEK, 2 * WEEK + 60)], [fault], START, STOP)
    both = sum((one, other), Score())
    assert both.recall("stuck") == pytest.approx(0.5, abs=0.01)
    assert both.weeks == one.weeks + other.weeks
    assert both.precision == 0.5


def test_without_events_nothing_is_said_of_recall() -> None:
    assert math.isnan(score([], [], START, STOP).recall("burst"))
