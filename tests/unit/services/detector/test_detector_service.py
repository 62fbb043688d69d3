"""What the detector says as a service: once per reading, driven by readings alone."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import pytest

from services.detector.service import Detector
from shared.contract import codec
from shared.contract.messages import (
    Anomaly,
    Command,
    Criteria,
    Message,
    Prediction,
    Progress,
    Reading,
    Response,
    Tick,
)
from shared.contract.topics import topic_of
from shared.settings import Settings
from tests.unit.services.detector.fakes import (
    MINUTE,
    Forecasts,
    KeptArchive,
    anomalies,
    detector,
    foretold,
    opened,
    replay,
    time_of,
    verdicts,
)
from tests.unit.services.detector.site import DAY, MONDAY, SHAPES, make_site

FAR_AHEAD = MONDAY + timedelta(days=900)


@cache
def readings() -> tuple[Reading, ...]:
    site = make_site(SHAPES["homes"], 24, seed=4)
    site.burst(21 * DAY + 600, 700, 0.6)
    site.wild("spike", 19 * DAY + 300, 1, 6.0)
    return tuple(site.readings())


@cache
def undisturbed() -> tuple[Message, ...]:
    return tuple(replay(detector(), readings(), Forecasts(), ticks=True))


def test_every_reading_gets_exactly_one_verdict_even_when_it_comes_twice() -> None:
    watch = detector()
    some = list(readings()[:200])
    found = verdicts(replay(watch, some + some))
    assert [one.reading for one in found] == some


def test_a_late_reading_gets_a_verdict_and_disturbs_nothing() -> None:
    plain = list(readings()[: 9 * DAY])
    late = plain.pop(8 * DAY + 100)
    shuffled = [*plain[: 8 * DAY + 130], late, *plain[8 * DAY + 130 :]]
    without, found = verdicts(replay(detector(), plain)), verdicts(replay(detector(), shuffled))
    assert len(found) == len(without) + 1
    assert [one for one in found if one.at != late.at] == without


def test_a_channel_that_was_never_measured_is_not_evaluated() -> None:
    site = make_site(SHAPES["main"], 6, seed=1)
    assert {check.flag for one in verdicts(replay(detector(), site.readings())) for check in (
        one.pressure.system, one.pressure.value, one.pressure.prediction)} == {None}  # fmt: skip


def test_a_reading_waits_for_the_prediction_of_its_hour() -> None:
    watch = detector()
    first = readings()[0]
    assert list(watch.handle(first)) == []
    assert [one.reading for one in verdicts(watch.handle(foretold(first.at)))] == [first]


def test_a_reading_waits_no_longer_than_two_ticks() -> None:
    watch = detector()
    first, second, *_ = readings()
    said = [list(watch.handle(one)) for one in (first, Tick("site1", first.at), second, Tick("site1", second.at))]
    assert [len(verdicts(one)) for one in said] == [0, 0, 0, 2]


def test_a_backlog_waits_longer_since_its_ticks_may_come_at_once_and_then_no_more_for_any_hour() -> None:
    watch = detector()
    some = list(readings()[: 3 * 60])
    now = some[-1].at + timedelta(hours=5)
    said = [message for one in some for message in watch.handle(one)]
    for minute in range(9):
        said += watch.handle(Tick("site1", now + minute * MINUTE))
    assert verdicts(said) == []
    assert [one.reading for one in verdicts(watch.handle(Tick("site1", now + 9 * MINUTE)))] == some


def test_a_prediction_that_comes_too_late_changes_nothing() -> None:
    watch = detector()
    first, second, third, *_ = readings()
    for message in (first, Tick("site1", first.at), second, Tick("site1", second.at), foretold(first.at, 1.0, 1.0)):
        list(watch.handle(message))
    (verdict,) = verdicts(watch.handle(third))
    assert verdict.flow_rate.prediction.flag is None


def test_a_backlog_under_a_far_ahead_clock_gives_the_verdicts_of_its_own_time() -> None:
    watch, forecasts, found = detector(), Forecasts(), list[Message]()
    for place, reading in enumerate(readings()):
        if reading.at.minute == 0:
            found += watch.handle(forecasts.before(reading))
        found += watch.handle(reading)
        forecasts.learn(reading)
        if place % 4000 == 0:
            found += watch.handle(Tick("site1", FAR_AHEAD + place * MINUTE))
    assert verdicts(found) == verdicts(undisturbed())
    assert anomalies(found) == anomalies(undisturbed())


CUTS = [15 * DAY + 707, 19 * DAY + 301, 21 * DAY + 601, 21 * DAY + 630, 21 * DAY + 900, 22 * DAY, 23 * DAY + 2]


@pytest.mark.parametrize("cut", CUTS)
def test_after_a_restart_it_goes_on_as_if_nothing_had_been(cut: int) -> None:
    until = readings()[cut].at
    before = [one for one in undisturbed() if time_of(one) < until]
    archive = KeptArchive(list(readings()[:cut]), before)
    watch = detector(archive)
    restored = list(watch.start())
    assert verdicts(restored) == []
    after = replay_with(watch, cut)
    assert verdicts(after) == verdicts(one for one in undisturbed() if time_of(one) >= until)
    assert anomalies(after) == [one for one in anomalies(undisturbed()) if time_of(one) >= until]


def test_an_anomaly_that_history_never_heard_of_is_said_again() -> None:
    cut, until = 21 * DAY + 900, readings()[21 * DAY + 900].at
    before = [one for one in undisturbed() if time_of(one) < until]
    heard = [one for one in before if not isinstance(one, Anomaly) or one.at < readings()[21 * DAY + 600].at]
    assert len(heard) < len(before)
    watch = detector(KeptArchive(list(readings()[:cut]), heard))
    list(watch.start())
    assert watch.oldest_missing_output() == ""
    newest = {one.id: one for one in anomalies(before)}
    found = {one.id: one for one in anomalies(detector(KeptArchive(list(readings()[:cut]), heard)).start())}
    assert found.keys() == {one.id for one in newest.values() if one.state != "cleared"}


def replay_with(watch: Detector, cut: int) -> list[Message]:
    """The readings from cut on, with the predictions that the undisturbed run had."""
    predictions = {one.issued_at: one for one in undisturbed() if isinstance(one, Prediction)}
    found: list[Message] = []
    for place, reading in enumerate(readings()[cut:]):
        if place == 0 or reading.at.minute == 0:
            found += watch.handle(predictions[reading.at.replace(minute=0)])
        found += watch.handle(reading)
        found += watch.handle(Tick("site1", reading.at))
    return found


def test_stored_readings_without_a_verdict_are_judged_at_the_start() -> None:
    cut, until = 21 * DAY + 640, readings()[21 * DAY + 600].at
    before = [one for one in undisturbed() if time_of(one) < until]
    predictions = [one for one in undisturbed() if isinstance(one, Prediction) and one not in before]
    archive = KeptArchive(list(readings()[:cut]), [*before, *predictions])
    found = verdicts(detector(archive).start())
    assert found == [one for one in verdicts(undisturbed()) if until <= one.at < readings()[cut].at]


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7, 0.9])
def test_what_a_kill_cuts_off_while_it_makes_up_for_days_is_made_up_for_by_the_next_start(part: float) -> None:
    until = readings()[19 * DAY].at
    stored = [one for one in undisturbed() if isinstance(one, Prediction) or time_of(one) < until]
    first = list(detector(KeptArchive(list(readings()), stored)).start())
    heard = [*stored, *first[: int(len(first) * part)]]
    second = detector(KeptArchive(list(readings()), heard)).start()
    newest = {one.id: one for one in anomalies([*heard, *second])}
    assert newest == {one.id: one for one in anomalies(undisturbed())}


def test_a_start_judges_once_what_waited_and_has_been_stored_meanwhile() -> None:
    some = readings()[: 10 * DAY]
    watch = detector()
    assert verdicts(message for one in some for message in watch.handle(one)) == []
    archive = watch._archive = KeptArchive(list(some), [])
    archive.foretell(*(foretold(one.at, 20.0, 4.0) for one in some[::60]))
    found = [*watch.start(), *watch.handle(Tick("site1", some[-1].at))]
    assert [one.reading.at for one in verdicts(found)] == [one.at for one in some]
    assert not [one for one in anomalies(found) if one.kind == "clock"]


def test_a_first_start_with_a_stored_past_learns_at_once() -> None:
    archive = KeptArchive(list(readings()[: 20 * DAY]), [], judged=False)
    (criteria,) = [one for one in detector(archive).start() if isinstance(one, Criteria)]
    assert criteria.days >= 8
    assert "flow_rate.value.limit" in criteria.limits
    assert len(criteria.profiles["flow_rate.usual"]) == 168


def test_criteria_say_for_which_rate_of_false_alarms_each_method_was_set() -> None:
    (*_, criteria) = [one for one in undisturbed() if isinstance(one, Criteria)]
    rates = {name: rate for name, rate in criteria.limits.items() if name.endswith("false_alarms_per_week")}
    assert {name.rsplit(".", 1)[0] for name in rates} == {name.rsplit(".", 1)[0] for name in criteria.limits}
    assert rates["flow_rate.value.false_alarms_per_week"] == 0.25 * Settings().detection.false_alarms_per_week
    assert sum(rates.values()) <= Settings().detection.false_alarms_per_week


def test_an_import_makes_it_learn_anew() -> None:
    archive = KeptArchive(list(readings()[: 20 * DAY]), [], judged=False)
    watch = detector(archive)
    done = Progress("site1", MONDAY, "import", 5, 5, None, "")
    assert [type(one) for one in watch.handle(done)] == [Criteria]


def test_an_operator_can_acknowledge_an_open_anomaly() -> None:
    watch = detector()
    replay(watch, readings()[: 21 * DAY + 900], ticks=True)
    (alarm, *_) = watch._posts["001"].watch.alarms.open.values()
    command = Command("site1", "acknowledge", "t1", {"id": alarm.said.id})
    anomaly, response = watch.handle(command)
    assert isinstance(anomaly, Anomaly)
    assert anomaly.acknowledged
    assert anomaly.state == "updated"
    assert response == Response("site1", "acknowledge", "t1", True, f"{alarm.said.id}: acknowledged")
    (refused,) = watch.handle(Command("site1", "acknowledge", "t2", {"id": "none"}))
    assert isinstance(refused, Response)
    assert not refused.ok


def test_all_that_is_said_can_go_over_the_wire() -> None:
    some: list[Message] = [*opened(undisturbed()), *verdicts(undisturbed())[-5:]]
    for message in some:
        assert codec.decode(topic_of(message), codec.encode(message)) == message
    (*_, criteria) = [one for one in undisturbed() if isinstance(one, Criteria)]
    assert codec.decode(topic_of(criteria), codec.encode(criteria)) == criteria


def test_a_stored_prediction_that_got_lost_on_its_way_is_found() -> None:
    some = list(readings()[: 3 * 60])
    archive = KeptArchive([], [])
    watch = detector(archive)
    said = [message for one in some for message in watch.handle(one)]
    assert verdicts(said) == []
    archive.foretell(*(foretold(one.at, 20.0, 4.0) for one in some[::60]))
    found = verdicts(watch.handle(Tick("site1", some[-1].at)))
    assert [one.reading for one in found] == some
