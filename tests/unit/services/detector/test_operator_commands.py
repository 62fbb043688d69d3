"""What operators enter on alarms: acknowledge, take it back, close with a cause, silence by method and in advance."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import pytest

from services.detector.service import Detector
from shared.contract.messages import AlarmSummary, Anomaly, Command, Message, Reading, Response, Tick
from tests.unit.services.detector.fakes import (
    LearnedDetector,
    anomalies,
    learned_site,
    make_detector,
    opened,
    replay,
)
from tests.unit.services.detector.synthetic_site import DAY, SHAPES, make_site

BEGIN = 10 * DAY + 600
LEARNED = 9 * DAY + 1


@cache
def readings() -> list[Reading]:
    site = make_site(SHAPES["homes"], 12, seed=4)
    site.scale("unit", BEGIN + 30, 600, 100.0)
    return site.readings()


def learned() -> LearnedDetector:
    return learned_site("homes", 12, 4, LEARNED)


def with_open_alarm() -> tuple[Detector, Anomaly, list[Message]]:
    """Return a detector with an open alarm, the alarm, and the messages so far."""
    detector, _ = learned().copy()
    before = list(replay(detector, readings()[LEARNED : BEGIN + 60], ticks=True))
    (alarm,) = [item for item in anomalies(before) if item.state == "opened"]
    return detector, alarm, before


def send(detector: Detector, name: str, **arguments: str) -> tuple[list[Anomaly], Response, list[Message]]:
    """Return the anomalies, the response and all messages that follow from a command."""
    messages = list(detector.handle(Command("site1", name, "t1", arguments)))  # type: ignore[arg-type]
    (response,) = [message for message in messages if isinstance(message, Response)]
    return anomalies(messages), response, messages


def test_acknowledgement_can_be_taken_back() -> None:
    detector, alarm, _ = with_open_alarm()
    send(detector, "acknowledge", id=alarm.id, by="Kim")
    (changed,), response, messages = send(detector, "unacknowledge", id=alarm.id, by="Lee", note="not yet")
    assert response.ok
    assert (changed.acknowledged, changed.by, changed.note, changed.state) == (False, "Lee", "not yet", "updated")
    (summary,) = [message for message in messages if isinstance(message, AlarmSummary)]
    assert (summary.open, summary.unacknowledged) == (1, 1)


def test_entries_of_the_same_minute_are_states_of_their_own() -> None:
    detector, alarm, _ = with_open_alarm()
    times = [send(detector, "acknowledge", id=alarm.id, note=note)[0][0].at for note in ("first", "second")]
    assert times[0] < times[1]


def test_closed_alarm_does_not_open_again_while_its_deviation_lasts() -> None:
    detector, alarm, _ = with_open_alarm()
    (closed,), response, _ = send(detector, "close", id=alarm.id, by="Kim", cause="meter", note="logger replaced")
    assert response.ok
    assert (closed.state, closed.closed, closed.acknowledged) == ("cleared", True, True)
    assert (closed.confirmed_cause, closed.note, closed.cleared_at) == ("meter", "logger replaced", closed.at)
    after = replay(detector, readings()[BEGIN + 60 : BEGIN + 600], ticks=True)
    assert [item.kind for item in opened(after) if item.kind == alarm.kind] == []


def test_a_new_deviation_after_a_closed_one_opens() -> None:
    detector, _ = learned().copy()
    site = make_site(SHAPES["homes"], 12, seed=4)
    site.scale("unit", BEGIN + 30, 60, 100.0)
    site.scale("unit", BEGIN + 400, 60, 100.0)
    items = site.readings()
    (alarm,) = opened(replay(detector, items[LEARNED : BEGIN + 60], ticks=True))
    send(detector, "close", id=alarm.id, cause="meter")
    kinds = [item.kind for item in opened(replay(detector, items[BEGIN + 60 : BEGIN + 470], ticks=True))]
    assert alarm.kind in kinds


@pytest.mark.parametrize("restart_after_minutes", [70, 300])
def test_closed_alarm_stays_closed_after_a_restart(restart_after_minutes: int) -> None:
    detector, alarm, before = with_open_alarm()
    _, _, messages = send(detector, "close", id=alarm.id, cause="meter")
    cut = BEGIN + restart_after_minutes
    after = list(replay(detector, readings()[BEGIN + 60 : cut], ticks=True))
    history = learned().history_with(readings()[LEARNED:cut], [*before, *messages, *after])
    restarted = make_detector(history)
    started = list(restarted.start())
    assert [item for item in anomalies(started) if item.state != "cleared"] == []
    assert [item.kind for item in opened(replay(restarted, readings()[cut : BEGIN + 600]))] == []


def test_cleared_alarm_can_be_acknowledged_and_closed_afterwards() -> None:
    detector, alarm, before = with_open_alarm()
    (cleared,), *_ = send(detector, "close", id=alarm.id, cause="unknown")
    history = learned().history_with(readings()[LEARNED : BEGIN + 60], [*before, cleared])
    restarted = make_detector(history)
    list(restarted.start())
    list(restarted.handle(Tick("site1", readings()[BEGIN + 60].at)))
    (later,), response, _ = send(restarted, "close", id=alarm.id, cause="works", by="Lee")
    assert response.ok
    assert (later.state, later.confirmed_cause, later.by) == ("cleared", "works", "Lee")
    assert later.cleared_at == cleared.cleared_at
    assert later.at > cleared.at


def test_close_needs_a_cause() -> None:
    detector, alarm, _ = with_open_alarm()
    changed, response, _ = send(detector, "close", id=alarm.id)
    assert not response.ok
    assert changed == []
    assert "burst, leak, works, meter, use, unknown" in response.text.en


def test_silence_of_another_method_opens_the_alarm() -> None:
    detector, _ = learned().copy()
    replay(detector, readings()[LEARNED:BEGIN], ticks=True)
    (window,), response, _ = send(detector, "silence", minutes="120", method="night", reason="flushing", by="Kim")
    assert response.ok
    assert (window.methods, window.note, window.by) == (("night",), "flushing", "Kim")
    assert "야간 최소 유량 검사" in window.text.ko
    assert [item.kind for item in opened(replay(detector, readings()[BEGIN : BEGIN + 60]))] == ["out_of_range"]


def test_silence_of_the_method_opens_nothing() -> None:
    detector, _ = learned().copy()
    replay(detector, readings()[LEARNED:BEGIN], ticks=True)
    send(detector, "silence", minutes="120", method="system")
    assert opened(replay(detector, readings()[BEGIN : BEGIN + 60])) == []


def test_silence_can_begin_later_and_be_cancelled() -> None:
    detector, _ = learned().copy()
    replay(detector, readings()[LEARNED:BEGIN], ticks=True)
    start, until = (readings()[BEGIN + minutes].at for minutes in (20, 100))
    arguments = {"from": f"{start:%Y-%m-%dT%H:%M}", "until": f"{until:%Y-%m-%dT%H:%M}"}
    (window,), response, messages = send(detector, "silence", **arguments)
    assert (window.opened_at, window.cleared_at, window.state) == (start, until, "opened")
    assert f"{start:%Y-%m-%d %H:%M}" in response.text.en
    assert not [message for message in messages if isinstance(message, AlarmSummary) and message.silenced_until]
    assert opened(replay(detector, readings()[BEGIN : BEGIN + 60])) == []
    (ended,), response, _ = send(detector, "close", id=window.id, by="Kim")
    assert response.ok
    assert (ended.state, ended.by) == ("cleared", "Kim")


@pytest.mark.parametrize(
    "arguments",
    [
        {"from": "tomorrow", "until": "2025-01-01"},
        {"until": "2020-01-01T00:00"},
        {"until": "2099-01-01T00:00"},
        {"minutes": "10", "method": "magic"},
    ],
    ids=str,
)
def test_invalid_silence_is_refused_with_its_reason(arguments: dict[str, str]) -> None:
    detector, _ = learned().copy()
    list(detector.handle(Tick("site1", readings()[LEARNED].at + timedelta(minutes=1))))
    changed, response, _ = send(detector, "silence", **arguments)
    assert not response.ok
    assert changed == []
    assert next(iter(arguments.values())) in response.text.en or "magic" in response.text.en


def test_commands_work_before_the_first_tick() -> None:
    detector, _ = learned().copy()
    detector._last_tick_at = None
    (alarm,) = opened(replay(detector, readings()[LEARNED : BEGIN + 60]))
    (changed,), response, _ = send(detector, "acknowledge", id=alarm.id)
    assert response.ok
    assert changed.at >= readings()[BEGIN + 59].at
