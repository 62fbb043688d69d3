"""Detector service: one verdict per reading, driven by readings alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from services.detector.service import Detector
from shared.contract import codec
from shared.contract.messages import (
    AlarmSummary,
    Anomaly,
    Command,
    Criteria,
    ExpectedDay,
    LocalizedText,
    Message,
    NightResult,
    Prediction,
    Progress,
    Reading,
    Response,
    SensorRetired,
    SensorState,
    Tick,
)
from shared.contract.status_codes import NO_TEXT
from shared.contract.topics import topic_of
from shared.settings import Settings
from tests.unit.services.detector.fakes import (
    MINUTE,
    FakeHistory,
    LearnedDetector,
    anomalies,
    make_detector,
    make_prediction,
    opened,
    replay,
    time_of,
    verdicts,
)
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, SyntheticSite, make_site

FAR_AHEAD = MONDAY + timedelta(days=900)


LEARNED = 17 * DAY + 1


@cache
def site() -> SyntheticSite:
    synthetic = make_site(SHAPES["homes"], 24, seed=4)
    synthetic.burst(21 * DAY + 600, 700, 0.6)
    synthetic.scale("spike", 19 * DAY + 300, 1, 6.0)
    return synthetic


@cache
def readings() -> tuple[Reading, ...]:
    return tuple(site().readings())


@cache
def learned() -> LearnedDetector:
    return LearnedDetector(site().series(0, LEARNED))


@cache
def undisturbed() -> tuple[Message, ...]:
    """Return the messages after the learned days."""
    return tuple(learned().replay(readings()[LEARNED:], ticks=True))


def history_until(cut: int, messages: Iterable[Message]) -> FakeHistory:
    return learned().history_with(readings()[LEARNED:cut], messages)


def test_duplicate_reading_gets_no_second_verdict() -> None:
    detector = make_detector()
    first_readings = list(readings()[:200])
    verdicts_ = verdicts(replay(detector, first_readings + first_readings))
    assert [verdict.reading for verdict in verdicts_] == first_readings


def test_late_reading_gets_verdict_and_changes_no_other() -> None:
    plain = list(readings()[LEARNED : LEARNED + 2 * DAY])
    late = plain.pop(DAY + 100)
    shuffled = [*plain[: DAY + 130], late, *plain[DAY + 130 :]]
    in_order, with_late = (verdicts(learned().replay(lines, forecasts=False)) for lines in (plain, shuffled))
    assert len(with_late) == len(in_order) + 1
    assert [verdict for verdict in with_late if verdict.at != late.at] == in_order


def test_never_measured_channel_is_not_evaluated() -> None:
    main = make_site(SHAPES["main"], 6, seed=1)
    pressure = [verdict.pressure for verdict in verdicts(replay(make_detector(), main.readings()))]
    assert {check.flag for checks in pressure for check in (checks.system, checks.value, checks.prediction)} == {None}


def test_reading_waits_for_forecast_of_its_hour() -> None:
    detector = make_detector()
    first = readings()[0]
    assert list(detector.handle(first)) == []
    assert [verdict.reading for verdict in verdicts(detector.handle(make_prediction(first.at)))] == [first]


def test_reading_waits_at_most_two_ticks() -> None:
    detector = make_detector()
    first, second, *_ = readings()
    answers = [
        list(detector.handle(message)) for message in (first, Tick("site1", first.at), second, Tick("site1", second.at))
    ]
    assert [len(verdicts(message)) for message in answers] == [0, 0, 0, 2]


def test_backlog_waits_ten_ticks_and_is_then_released() -> None:
    detector = make_detector()
    backlog = list(readings()[: 3 * 60])
    now = backlog[-1].at + timedelta(hours=5)
    messages = [message for item in backlog for message in detector.handle(item)]
    for minute in range(9):
        messages += detector.handle(Tick("site1", now + minute * MINUTE))
    assert verdicts(messages) == []
    assert [item.reading for item in verdicts(detector.handle(Tick("site1", now + 9 * MINUTE)))] == backlog


def test_late_forecast_is_not_used() -> None:
    detector = make_detector()
    first, second, third, *_ = readings()
    for message in (
        first,
        Tick("site1", first.at),
        second,
        Tick("site1", second.at),
        make_prediction(first.at, 1.0, 1.0),
    ):
        list(detector.handle(message))
    (verdict,) = verdicts(detector.handle(third))
    assert verdict.flow_rate.prediction.flag is None


def test_backlog_with_tick_clock_far_ahead_gives_same_verdicts() -> None:
    (detector, forecasts), messages = learned().copy(), list[Message]()
    for index, reading in enumerate(readings()[LEARNED:]):
        if reading.at.minute == 0:
            messages += detector.handle(forecasts.forecast_for(reading))
        messages += detector.handle(reading)
        forecasts.observe(reading)
        if index % 4000 == 0:
            messages += detector.handle(Tick("site1", FAR_AHEAD + index * MINUTE))
    assert verdicts(messages) == verdicts(undisturbed())
    assert anomalies(messages) == anomalies(undisturbed())


CUTS = [18 * DAY + 707, 19 * DAY + 301, 21 * DAY + 601, 21 * DAY + 630, 21 * DAY + 900, 22 * DAY, 23 * DAY + 2]


@pytest.mark.parametrize("cut", CUTS)
def test_restart_changes_no_verdict_or_anomaly(cut: int) -> None:
    until = readings()[cut].at
    before = [message for message in undisturbed() if time_of(message) < until]
    detector = make_detector(history_until(cut, before))
    restored = list(detector.start())
    assert verdicts(restored) == []
    after = replay_with(detector, cut)
    assert verdicts(after) == verdicts(message for message in undisturbed() if time_of(message) >= until)
    assert anomalies(after) == [message for message in anomalies(undisturbed()) if time_of(message) >= until]


def test_anomaly_missing_in_history_is_published_again() -> None:
    cut, until = 21 * DAY + 900, readings()[21 * DAY + 900].at
    before = [message for message in undisturbed() if time_of(message) < until]
    stored = [
        message for message in before if not isinstance(message, Anomaly) or message.at < readings()[21 * DAY + 600].at
    ]
    assert len(stored) < len(before)
    detector = make_detector(history_until(cut, stored))
    list(detector.start())
    assert detector.oldest_missing_output() == ""
    newest = {message.id: message for message in anomalies(before)}
    published = {message.id: message for message in anomalies(make_detector(history_until(cut, stored)).start())}
    assert published.keys() == {message.id for message in newest.values() if message.state != "cleared"}


def replay_with(detector: Detector, cut: int) -> list[Message]:
    """Replay the readings from `cut` on, with the predictions of the undisturbed run."""
    predictions = {message.issued_at: message for message in undisturbed() if isinstance(message, Prediction)}
    messages: list[Message] = []
    for index, reading in enumerate(readings()[cut:]):
        if index == 0 or reading.at.minute == 0:
            messages += detector.handle(predictions[reading.at.replace(minute=0)])
        messages += detector.handle(reading)
        messages += detector.handle(Tick("site1", reading.at))
    return messages


def test_stored_readings_without_verdict_are_evaluated_at_start() -> None:
    cut, until = 21 * DAY + 640, readings()[21 * DAY + 600].at
    before = [message for message in undisturbed() if time_of(message) < until]
    predictions = [message for message in undisturbed() if isinstance(message, Prediction) and message not in before]
    history = history_until(cut, [*before, *predictions])
    evaluated = verdicts(make_detector(history).start())
    assert evaluated == [message for message in verdicts(undisturbed()) if until <= message.at < readings()[cut].at]


@cache
def backfill() -> tuple[list[Message], list[Message]]:
    """Return the stored messages up to day 19, and what a start yields for the stored readings after it."""
    until = readings()[19 * DAY].at
    stored = [message for message in undisturbed() if isinstance(message, Prediction) or time_of(message) < until]
    return stored, list(make_detector(history_until(len(readings()), stored)).start())


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_interrupted_backfill_is_completed_by_next_start(share: float) -> None:
    stored, first = backfill()
    published = [*stored, *first[: int(len(first) * share)]]
    second = make_detector(history_until(len(readings()), published)).start()
    newest = {message.id: message for message in anomalies([*published, *second])}
    assert newest == {message.id: message for message in anomalies(undisturbed())}


def test_start_evaluates_pending_and_stored_readings_once() -> None:
    stored = readings()[: 3 * DAY]
    detector = make_detector()
    assert verdicts(message for item in stored for message in detector.handle(item)) == []
    history = detector._history = FakeHistory(list(stored), [])
    history.add_predictions(*(make_prediction(item.at, 20.0, 4.0) for item in stored[::60]))
    messages = [*detector.start(), *detector.handle(Tick("site1", stored[-1].at))]
    assert [item.reading.at for item in verdicts(messages)] == [item.at for item in stored]
    assert not [item for item in anomalies(messages) if item.kind == "clock"]


def test_first_start_with_history_calibrates() -> None:
    history = FakeHistory(list(readings()[: 20 * DAY]), [], with_verdicts=False)
    (criteria,) = [message for message in make_detector(history).start() if isinstance(message, Criteria)]
    assert criteria.days >= 8
    assert "flow_rate.value.limit" in criteria.limits
    assert len(criteria.profiles["flow_rate.usual"]) == 168


def test_criteria_contain_false_alarm_rate_of_each_method() -> None:
    (*_, criteria) = [message for message in undisturbed() if isinstance(message, Criteria)]
    rates = {name: rate for name, rate in criteria.limits.items() if name.endswith("false_alarms_per_week")}
    assert {name.rsplit(".", 1)[0] for name in rates} == {name.rsplit(".", 1)[0] for name in criteria.limits}
    assert rates["flow_rate.value.false_alarms_per_week"] == 0.25 * Settings().detection.false_alarms_per_week
    assert sum(rates.values()) <= Settings().detection.false_alarms_per_week


def test_import_triggers_calibration() -> None:
    history = FakeHistory(list(readings()[: 20 * DAY]), [], with_verdicts=False)
    detector = make_detector(history)
    done = Progress(site="site1", at=MONDAY, job="import", step=5, of=5, eta=None, text=NO_TEXT)
    assert [type(message) for message in detector.handle(done)] == [Criteria, NightResult, SensorState, ExpectedDay]
    assert list(detector.handle(done)) == []


def test_open_anomaly_can_be_acknowledged() -> None:
    detector, _ = learned().copy()
    replay(detector, readings()[LEARNED : 21 * DAY + 900], ticks=True)
    (alarm, *_) = detector._queues["001"].monitor.alarms.open.values()
    id_ = alarm.anomaly.id
    anomaly, response, summary = detector.handle(Command("site1", "acknowledge", "t1", {"id": id_}))
    assert isinstance(summary, AlarmSummary)
    assert summary.unacknowledged == summary.open - 1
    assert isinstance(anomaly, Anomaly)
    assert (anomaly.acknowledged, anomaly.state) == (True, "updated")
    assert (anomaly.by, anomaly.note, anomaly.confirmed_cause) == ("", "", None)
    text = LocalizedText(f"{id_}: 확인했습니다", f"{id_}: acknowledged")
    assert response == Response(site="site1", name="acknowledge", transaction="t1", ok=True, text=text)
    entered = {"id": id_, "by": "Kim", "note": "valve 12 {closed}", "cause": "burst"}
    anomaly, *_ = detector.handle(Command("site1", "acknowledge", "t2", entered))
    assert isinstance(anomaly, Anomaly)
    assert (anomaly.by, anomaly.note, anomaly.confirmed_cause) == ("Kim", "valve 12 {closed}", "burst")
    anomaly, *_ = detector.handle(Command("site1", "acknowledge", "t3", {"id": id_, "by": "Lee"}))
    assert isinstance(anomaly, Anomaly)
    assert (anomaly.by, anomaly.note, anomaly.confirmed_cause) == ("Lee", "valve 12 {closed}", "burst")


@pytest.mark.parametrize(("arguments", "expected"), [({"id": "none"}, "'none'"), ({"cause": "magic"}, "meter")])
def test_invalid_acknowledgement_gets_error_response(arguments: dict[str, str], expected: str) -> None:
    detector = make_detector()
    list(detector.handle(Tick("site1", MONDAY)))
    (response,) = detector.handle(Command("site1", "acknowledge", "t1", arguments))
    assert isinstance(response, Response)
    assert not response.ok
    assert expected in response.text.ko
    assert expected in response.text.en


def test_entries_of_operators_survive_a_restart() -> None:
    cut, until = 21 * DAY + 900, readings()[21 * DAY + 900].at
    before = [message for message in undisturbed() if time_of(message) < until]
    newest = {anomaly.id: anomaly for anomaly in anomalies(before)}
    (open_one, *_) = (anomaly for anomaly in newest.values() if anomaly.state != "cleared")
    entered = replace(open_one, acknowledged=True, by="Kim", note="seen", confirmed_cause="burst")
    detector = make_detector(history_until(cut, [*before, entered]))
    (restored,) = (anomaly for anomaly in anomalies(detector.start()) if anomaly.id == open_one.id)
    fields = (restored.acknowledged, restored.by, restored.note, restored.confirmed_cause)
    assert fields == (True, "Kim", "seen", "burst")


def test_stored_trigger_that_does_not_fit_is_replaced_by_the_kind() -> None:
    cut, until = 21 * DAY + 900, readings()[21 * DAY + 900].at
    before = [message for message in undisturbed() if time_of(message) < until]
    (example, *_) = anomalies(before)
    stored = replace(example, id="001-odd", kind="stuck", trigger="drift", state="opened", cleared_at=None)
    detector = make_detector(history_until(cut, [*before, stored]))
    list(detector.start())
    assert "flow_rate.stuck" in detector._queues["001"].monitor.alarms.open


def test_command_of_another_service_is_ignored() -> None:
    assert list(make_detector().handle(Command("site1", "train", "t1"))) == []


def test_messages_survive_encoding() -> None:
    examples: list[Message] = [*opened(undisturbed()), *verdicts(undisturbed())[-5:]]
    for message in examples:
        assert codec.decode(topic_of(message), codec.encode(message)) == message
    (*_, criteria) = [item for item in undisturbed() if isinstance(item, Criteria)]
    assert codec.decode(topic_of(criteria), codec.encode(criteria)) == criteria


def test_forecast_lost_on_the_way_is_read_from_history() -> None:
    waiting = list(readings()[: 3 * 60])
    history = FakeHistory([], [])
    detector = make_detector(history)
    messages = [message for item in waiting for message in detector.handle(item)]
    assert verdicts(messages) == []
    history.add_predictions(*(make_prediction(item.at, 20.0, 4.0) for item in waiting[::60]))
    evaluated = verdicts(detector.handle(Tick("site1", waiting[-1].at)))
    assert [item.reading for item in evaluated] == waiting


def test_retired_sensor_has_no_alarm_until_it_sends_again() -> None:
    detector = make_detector()
    readings = make_site(SHAPES["homes"], 1, seed=4).readings()[:40]
    messages = replay(detector, readings[:20], ticks=True)
    for minute in range(1, 15):
        messages += detector.handle(Tick("site1", readings[19].at + minute * MINUTE))
    assert [anomaly.kind for anomaly in opened(messages)] == ["silence"]
    ended = list(detector.handle(SensorRetired("site1", "001", readings[19].at + 15 * MINUTE)))
    assert [anomaly.state for anomaly in anomalies(ended)] == ["cleared"]
    quiet = [m for minute in range(16, 60) for m in detector.handle(Tick("site1", readings[19].at + minute * MINUTE))]
    assert quiet == []
    replay(detector, [replace(item, at=item.at + 60 * MINUTE) for item in readings[20:]], ticks=True)
    last = readings[39].at + 60 * MINUTE
    again = [m for minute in range(1, 15) for m in detector.handle(Tick("site1", last + minute * MINUTE))]
    assert [anomaly.kind for anomaly in opened(again)] == ["silence"]
