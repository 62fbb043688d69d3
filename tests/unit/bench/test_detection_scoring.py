"""Event-level score, on cases small enough to count by hand."""

from __future__ import annotations

import math

import pytest

from bench.detection.events import Event
from bench.detection.scoring import Alarm, Score, score
from shared.domain.series import DAY, HOUR, WEEK

START = 0
STOP = 10 * WEEK


def test_burst_is_found_by_alarm_during_it_with_delay_from_onset() -> None:
    burst = Event("burst", WEEK, WEEK + 6 * HOUR, 0.12)
    total = score([Alarm("burst", WEEK + HOUR, WEEK + 2 * HOUR)], [burst], START, STOP)
    assert total.recall("burst") == total.recall("large_burst") == 1.0
    assert total.delay("burst") == 60.0
    assert total.false_alarms == 0


def test_meter_alarm_finds_no_burst() -> None:
    burst = Event("burst", WEEK, WEEK + 6 * HOUR, 0.05)
    total = score([Alarm("stuck", WEEK + HOUR, WEEK + 2 * HOUR)], [burst], START, STOP)
    assert total.recall("burst") == 0.0
    assert total.events["large_burst"] == 0


def test_any_alarm_finds_a_fault() -> None:
    fault = Event("unit_jump", WEEK, WEEK + HOUR)
    assert score([Alarm("step", WEEK, WEEK + 60)], [fault], START, STOP).recall("unit_jump") == 1.0


def test_alarm_outside_event_and_settling_time_is_false() -> None:
    burst = Event("burst", 2 * WEEK, 2 * WEEK + HOUR, 0.05)
    moments = (2 * WEEK - HOUR, 2 * WEEK + DAY, 2 * WEEK + 3 * DAY)
    total = score([Alarm("step", at, at + 60) for at in moments], [burst], START, STOP)
    assert total.false_alarms == 2
    assert total.hits["burst"] == 0


def test_open_alarm_counts_at_start_and_once_a_day() -> None:
    assert score([Alarm("leak", WEEK, WEEK + 2 * DAY + HOUR)], [], START, STOP).false_alarms == 3


def test_false_alarm_rate_uses_time_outside_events() -> None:
    leak = Event("leak", WEEK, 6 * WEEK - 3 * DAY, 0.1)
    total = score([Alarm("burst", 8 * WEEK, 8 * WEEK + 60)], [leak], START, STOP)
    assert total.weeks == pytest.approx(5.0)
    assert total.false_per_week == pytest.approx(0.2)


def test_leak_found_late_is_missed() -> None:
    leak = Event("leak", WEEK, 6 * WEEK, 0.1)
    late = score([Alarm("leak", 4 * WEEK, 5 * WEEK)], [leak], START, STOP)
    soon = score([Alarm("leak", 2 * WEEK, 5 * WEEK)], [leak], START, STOP)
    assert (late.recall("leak"), soon.recall("leak")) == (0.0, 1.0)
    assert soon.delay("leak") == 7 * 24 * 60


def test_recall_is_corrected_for_chance_hits() -> None:
    length = DAY
    events = [Event("burst", week * WEEK, week * WEEK + length, 0.05) for week in (2, 4)]
    hit = Alarm("burst", 2 * WEEK + HOUR, 2 * WEEK + 2 * HOUR)
    false = [Alarm("burst", at, at + 60) for at in (6 * WEEK, 7 * WEEK, 8 * WEEK)]
    total = score([hit, *false], events, START, STOP)
    luck = 1 - math.exp(-3 / (total.weeks * WEEK) * (length + 1800))
    assert total.recall("burst") == pytest.approx((0.5 - luck) / (1 - luck))


def test_recall_is_nan_when_most_hits_are_chance() -> None:
    leak = Event("leak", 5 * WEEK, 9 * WEEK, 0.1)
    noise = [Alarm("burst", at, at + 60) for at in range(START, 5 * WEEK, DAY // 2)]
    assert math.isnan(score(noise, [leak], START, STOP).recall("leak"))


def test_legitimate_event_may_be_alarmed_but_not_as_loss() -> None:
    flushing, holiday = Event("flushing", WEEK, WEEK + HOUR, 0.5), Event("holiday", 3 * WEEK, 3 * WEEK + DAY)
    alarms = [Alarm("step", WEEK, WEEK + 60), Alarm("leak", 3 * WEEK, 3 * WEEK + 60)]
    total = score(alarms, [flushing, holiday], START, STOP)
    assert total.false_alarms == 0
    assert total.legitimate_called_loss == 0.5
    assert total.alarm_kinds["flushing", "step"] == total.alarm_kinds["holiday", "leak"] == 1


def test_leak_alarm_on_holiday_during_leak_is_correct() -> None:
    events = [Event("leak", WEEK, 5 * WEEK, 0.1), Event("holiday", 3 * WEEK, 3 * WEEK + DAY)]
    total = score([Alarm("leak", 3 * WEEK, 4 * WEEK)], events, START, STOP)
    assert total.events["holiday"] == total.called_loss == 0


def test_events_in_learning_days_only_excuse_alarms() -> None:
    early = Event("burst", WEEK, WEEK + HOUR, 0.2)
    total = score([Alarm("burst", WEEK, WEEK + 60), Alarm("burst", 0, 60)], [early], WEEK + 1, STOP)
    assert (total.events["burst"], total.false_alarms) == (0, 0)


def test_scores_of_sites_add_up() -> None:
    fault = Event("stuck", WEEK, WEEK + HOUR)
    single = score([Alarm("stuck", WEEK, WEEK + 60)], [fault], START, STOP)
    other = score([Alarm("step", 2 * WEEK, 2 * WEEK + 60)], [fault], START, STOP)
    total = sum((single, other), Score())
    assert total.recall("stuck") == pytest.approx(0.5, abs=0.01)
    assert total.weeks == single.weeks + other.weeks
    assert total.precision == 0.5


def test_recall_is_nan_without_events() -> None:
    assert math.isnan(score([], [], START, STOP).recall("burst"))
