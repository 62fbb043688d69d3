"""The outbox: no message counts as safe by another one's confirmation, and what a broker may forget is kept a while."""

from __future__ import annotations

from itertools import count

import pytest

from shared.runtime.publish_buffer import MAX_REPLAY_BYTES, MAX_UNACKED, REPLAY_SECONDS, OutgoingMessage, PublishBuffer


class FakeConnection:
    """A connection whose broker answers when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.outbox = PublishBuffer(lambda: self.now)
        self._numbers = count(1)

    def say(self, payload: str, topic: str = "t", retain: bool = False) -> int:
        return self._send(OutgoingMessage(topic, payload.encode(), retain))

    def say_again(self) -> None:
        for message in self.outbox.messages_to_replay():
            self.outbox.on_ack(self._send(message), "")

    def _send(self, message: OutgoingMessage) -> int:
        number = next(self._numbers)
        self.outbox.send(message, lambda _: number)
        return number

    def again(self) -> list[str]:
        return [message.payload.decode() for message in self.outbox.messages_to_replay()]


@pytest.fixture
def line() -> FakeConnection:
    return FakeConnection()


def test_all_is_safe_when_each_message_was_answered(line: FakeConnection) -> None:
    numbers = [line.say(text) for text in ("one", "two")]
    assert not line.outbox.wait_until_acked(0)
    line.outbox.on_ack(numbers[0], "")
    assert not line.outbox.wait_until_acked(0)
    line.outbox.on_ack(numbers[1], "")
    assert line.outbox.wait_until_acked(0)


def test_an_answer_may_come_before_the_number_is_known(line: FakeConnection) -> None:
    def answered_at_once(_: OutgoingMessage) -> int:
        line.outbox.on_ack(7, "")
        return 7

    line.outbox.send(OutgoingMessage("t", b"one", False), answered_at_once)
    assert line.outbox.wait_until_acked(0)


def test_an_answer_to_something_else_says_nothing_of_a_later_message_with_its_number(line: FakeConnection) -> None:
    line.outbox.on_ack(1, "")
    assert line.say("one") == 1
    assert not line.outbox.wait_until_acked(0)


def test_what_was_refused_is_not_safe_until_it_was_taken(line: FakeConnection) -> None:
    line.outbox.on_ack(line.say("one", "wvr/v1/site1/tick"), "Not authorized")
    assert not line.outbox.wait_until_acked(0)
    assert line.outbox.refusal == "the broker refuses wvr/v1/site1/tick: Not authorized"
    (refused,) = line.outbox.take_refused()
    line.outbox.send(refused, lambda _: 99)
    assert not line.outbox.wait_until_acked(0)
    line.outbox.on_ack(99, "")
    assert line.outbox.wait_until_acked(0)
    assert not line.outbox.refusal


def test_there_is_no_room_for_more_than_paho_can_number(line: FakeConnection) -> None:
    numbers = [line.say("one") for _ in range(MAX_UNACKED)]
    assert not line.outbox.wait_for_room(0)
    line.outbox.on_ack(numbers[0], "")
    assert line.outbox.wait_for_room(0)


def test_what_was_confirmed_a_short_while_ago_is_said_again_in_its_order(line: FakeConnection) -> None:
    for text in ("old", "one", "two"):
        if text == "one":
            line.now = 1.0
        line.outbox.on_ack(line.say(text), "")
    line.now = REPLAY_SECONDS + 0.5
    assert line.again() == ["one", "two"]
    line.now += REPLAY_SECONDS
    assert not line.again()


def test_the_state_is_said_again_however_old_it_is_and_before_newer_messages(line: FakeConnection) -> None:
    for text, topic in (("old", "a"), ("state", "a"), ("gone", "b"), ("", "b")):
        line.outbox.on_ack(line.say(text, topic, retain=True), "")
    line.now = 10 * REPLAY_SECONDS
    line.outbox.on_ack(line.say("event", "c"), "")
    assert line.again() == ["state", "event"]


def test_what_is_said_again_does_not_replace_a_newer_state_that_is_on_its_way(line: FakeConnection) -> None:
    line.outbox.on_ack(line.say("old", "a", retain=True), "")
    newer = line.say("new", "a", retain=True)
    line.say_again()
    line.outbox.on_ack(newer, "")
    line.now = 10 * REPLAY_SECONDS
    assert line.again() == ["new"]


def test_messages_said_again_are_not_kept_once_more(line: FakeConnection) -> None:
    line.outbox.on_ack(line.say("one"), "")
    line.say_again()
    assert line.again() == ["one"]


def test_what_is_kept_has_a_limit(line: FakeConnection) -> None:
    for _ in range(12):
        line.outbox.on_ack(line.say("x" * (MAX_REPLAY_BYTES // 8)), "")
    assert len(line.again()) == 8
