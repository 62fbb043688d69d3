"""The outbox: no message counts as safe by another one's confirmation, and what a broker may forget is kept a while."""

from __future__ import annotations

from itertools import count

import pytest

from shared.runtime.outbox import KEPT_BYTES, KEPT_SECONDS, MOST, Outbox, Sent


class Line:
    """A connection whose broker answers when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.outbox = Outbox(lambda: self.now)
        self._numbers = count(1)

    def say(self, payload: str, topic: str = "t", retain: bool = False) -> int:
        return self._send(Sent(topic, payload.encode(), retain))

    def say_again(self) -> None:
        for message in self.outbox.again():
            self.outbox.answered(self._send(message), "")

    def _send(self, message: Sent) -> int:
        number = next(self._numbers)
        self.outbox.send(message, lambda _: number)
        return number

    def again(self) -> list[str]:
        return [message.payload.decode() for message in self.outbox.again()]


@pytest.fixture
def line() -> Line:
    return Line()


def test_all_is_safe_when_each_message_was_answered(line: Line) -> None:
    numbers = [line.say(text) for text in ("one", "two")]
    assert not line.outbox.is_safe(0)
    line.outbox.answered(numbers[0], "")
    assert not line.outbox.is_safe(0)
    line.outbox.answered(numbers[1], "")
    assert line.outbox.is_safe(0)


def test_an_answer_may_come_before_the_number_is_known(line: Line) -> None:
    def answered_at_once(_: Sent) -> int:
        line.outbox.answered(7, "")
        return 7

    line.outbox.send(Sent("t", b"one", False), answered_at_once)
    assert line.outbox.is_safe(0)


def test_an_answer_to_something_else_says_nothing_of_a_later_message_with_its_number(line: Line) -> None:
    line.outbox.answered(1, "")
    assert line.say("one") == 1
    assert not line.outbox.is_safe(0)


def test_what_was_refused_is_not_safe_until_it_was_taken(line: Line) -> None:
    line.outbox.answered(line.say("one", "wvr/v1/site1/tick"), "Not authorized")
    assert not line.outbox.is_safe(0)
    assert line.outbox.refusal == "the broker refuses wvr/v1/site1/tick: Not authorized"
    (refused,) = line.outbox.refused()
    line.outbox.send(refused, lambda _: 99)
    assert not line.outbox.is_safe(0)
    line.outbox.answered(99, "")
    assert line.outbox.is_safe(0)
    assert not line.outbox.refusal


def test_there_is_no_room_for_more_than_paho_can_number(line: Line) -> None:
    numbers = [line.say("one") for _ in range(MOST)]
    assert not line.outbox.has_room(0)
    line.outbox.answered(numbers[0], "")
    assert line.outbox.has_room(0)


def test_what_was_confirmed_a_short_while_ago_is_said_again_in_its_order(line: Line) -> None:
    for text in ("old", "one", "two"):
        if text == "one":
            line.now = 1.0
        line.outbox.answered(line.say(text), "")
    line.now = KEPT_SECONDS + 0.5
    assert line.again() == ["one", "two"]
    line.now += KEPT_SECONDS
    assert not line.again()


def test_the_state_is_said_again_however_old_it_is_and_before_newer_messages(line: Line) -> None:
    for text, topic in (("old", "a"), ("state", "a"), ("gone", "b"), ("", "b")):
        line.outbox.answered(line.say(text, topic, retain=True), "")
    line.now = 10 * KEPT_SECONDS
    line.outbox.answered(line.say("event", "c"), "")
    assert line.again() == ["state", "event"]


def test_what_is_said_again_does_not_replace_a_newer_state_that_is_on_its_way(line: Line) -> None:
    line.outbox.answered(line.say("old", "a", retain=True), "")
    newer = line.say("new", "a", retain=True)
    line.say_again()
    line.outbox.answered(newer, "")
    line.now = 10 * KEPT_SECONDS
    assert line.again() == ["new"]


def test_messages_said_again_are_not_kept_once_more(line: Line) -> None:
    line.outbox.answered(line.say("one"), "")
    line.say_again()
    assert line.again() == ["one"]


def test_what_is_kept_has_a_limit(line: Line) -> None:
    for _ in range(12):
        line.outbox.answered(line.say("x" * (KEPT_BYTES // 8)), "")
    assert len(line.again()) == 8
