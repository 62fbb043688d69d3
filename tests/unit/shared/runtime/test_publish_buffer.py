"""No message counts as safe by another one's confirmation, and messages that the broker may lose are kept."""

from __future__ import annotations

from itertools import count

import pytest

from shared.runtime.publish_buffer import MAX_REPLAY_BYTES, MAX_UNACKED, REPLAY_SECONDS, OutgoingMessage, PublishBuffer


class FakeConnection:
    """A connection whose broker acknowledges on request."""

    def __init__(self) -> None:
        self.now = 0.0
        self.buffer = PublishBuffer(lambda: self.now)
        self._numbers = count(1)

    def publish(self, payload: str, topic: str = "t", retain: bool = False) -> int:
        return self.send(OutgoingMessage(topic, payload.encode(), retain))

    def replay(self) -> None:
        for message in self.buffer.messages_to_replay():
            self.buffer.on_ack(self.send(message), "")

    def send(self, message: OutgoingMessage) -> int:
        number = next(self._numbers)
        self.buffer.send(message, lambda _: number)
        return number

    def to_replay(self) -> list[str]:
        return [message.payload.decode() for message in self.buffer.messages_to_replay()]


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


def test_buffer_is_acked_when_every_message_was_acked(connection: FakeConnection) -> None:
    numbers = [connection.publish(text) for text in ("one", "two")]
    assert not connection.buffer.wait_until_acked(0)
    connection.buffer.on_ack(numbers[0], "")
    assert not connection.buffer.wait_until_acked(0)
    connection.buffer.on_ack(numbers[1], "")
    assert connection.buffer.wait_until_acked(0)


def test_ack_may_arrive_before_the_message_id_is_known(connection: FakeConnection) -> None:
    def answered_at_once(_: OutgoingMessage) -> int:
        connection.buffer.on_ack(7, "")
        return 7

    connection.buffer.send(OutgoingMessage("t", b"one", False), answered_at_once)
    assert connection.buffer.wait_until_acked(0)


def test_ack_of_an_unknown_message_does_not_count_for_a_later_one(connection: FakeConnection) -> None:
    connection.buffer.on_ack(1, "")
    assert connection.publish("one") == 1
    assert not connection.buffer.wait_until_acked(0)


def test_refused_message_is_not_acked_until_accepted(connection: FakeConnection) -> None:
    connection.buffer.on_ack(connection.publish("one", "wvr/v1/site1/tick"), "Not authorized")
    assert not connection.buffer.wait_until_acked(0)
    assert connection.buffer.refusal
    assert connection.buffer.refusal.text.en == "the broker refuses wvr/v1/site1/tick: Not authorized"
    (refused,) = connection.buffer.take_refused()
    connection.buffer.send(refused, lambda _: 99)
    assert not connection.buffer.wait_until_acked(0)
    connection.buffer.on_ack(99, "")
    assert connection.buffer.wait_until_acked(0)
    assert not connection.buffer.refusal


def test_room_is_below_the_number_of_paho_message_ids(connection: FakeConnection) -> None:
    numbers = [connection.publish("one") for _ in range(MAX_UNACKED)]
    assert not connection.buffer.wait_for_room(0)
    connection.buffer.on_ack(numbers[0], "")
    assert connection.buffer.wait_for_room(0)


def test_recently_confirmed_messages_are_replayed_in_order(connection: FakeConnection) -> None:
    for text in ("old", "one", "two"):
        if text == "one":
            connection.now = 1.0
        connection.buffer.on_ack(connection.publish(text), "")
    connection.now = REPLAY_SECONDS + 0.5
    assert connection.to_replay() == ["one", "two"]
    connection.now += REPLAY_SECONDS
    assert not connection.to_replay()


def test_command_is_never_replayed(connection: FakeConnection) -> None:
    """It would be carried out twice."""
    command = OutgoingMessage("command/train", b"train", False, is_command=True)
    connection.buffer.on_ack(connection.send(command), "")
    connection.send(command._replace(payload=b"in flight"))
    assert connection.buffer.messages_to_replay(include_unacked=True) == []


def test_retained_state_is_replayed_before_newer_messages(connection: FakeConnection) -> None:
    for text, topic in (("old", "a"), ("state", "a"), ("gone", "b"), ("", "b")):
        connection.buffer.on_ack(connection.publish(text, topic, retain=True), "")
    connection.now = 10 * REPLAY_SECONDS
    connection.buffer.on_ack(connection.publish("event", "c"), "")
    assert connection.to_replay() == ["state", "event"]


def test_replay_does_not_replace_newer_state_in_flight(connection: FakeConnection) -> None:
    connection.buffer.on_ack(connection.publish("old", "a", retain=True), "")
    newer = connection.publish("new", "a", retain=True)
    connection.replay()
    connection.buffer.on_ack(newer, "")
    connection.now = 10 * REPLAY_SECONDS
    assert connection.to_replay() == ["new"]


def test_replayed_messages_are_not_kept_twice(connection: FakeConnection) -> None:
    connection.buffer.on_ack(connection.publish("one"), "")
    connection.replay()
    assert connection.to_replay() == ["one"]


def test_replay_buffer_is_bounded(connection: FakeConnection) -> None:
    for _ in range(12):
        connection.buffer.on_ack(connection.publish("x" * (MAX_REPLAY_BYTES // 8)), "")
    assert len(connection.to_replay()) == 8
