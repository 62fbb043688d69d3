"""Published messages until the broker confirms them, and after that as long as the broker may lose them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from shared.contract.status_codes import Problem, problem

MAX_UNACKED, MAX_UNACKED_BYTES = 5000, 16_000_000
"""Messages and bytes in flight: far below 65,535 message ids, above which paho drops silently."""
NOTIFY_EVERY = 500
"""Acknowledgements after which a waiting thread checks for room; an empty buffer wakes it too."""
REPLAY_SECONDS, MAX_REPLAY_BYTES = 120.0, 2_000_000
"""Confirmed messages are kept until Mosquitto has saved them (autosave_interval), within this size."""


class OutgoingMessage(NamedTuple):
    """A message on the wire."""

    topic: str
    payload: bytes
    retain: bool
    is_replay: bool = False
    """The broker confirmed it before; it is published again because the broker may have lost it."""
    is_command: bool = False
    """It is never published again: it would be carried out twice."""


class PublishBuffer:
    """Messages by paho's message id. One thread at a time may send; acknowledgements come from the network thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._unacked: dict[int, OutgoingMessage] = {}
        self._early_acks: dict[int, str] | None = None
        """Acknowledgements that arrive while a message is being sent; its own may be among them."""
        self._refused: list[OutgoingMessage] = []
        self._unacked_bytes = self._acked_bytes = 0
        self._acked: deque[tuple[float, OutgoingMessage]] = deque()
        self._retained: dict[str, OutgoingMessage] = {}
        self.refusal: Problem | None = None
        """Which message the broker refuses and why; None after it accepted all messages."""

    def send(self, message: OutgoingMessage, publish: Callable[[OutgoingMessage], int]) -> None:
        """Send a message; `publish` returns its message id, and the acknowledgement may arrive before that."""
        with self._changed:
            self._early_acks = {}
        number = publish(message)
        with self._changed:
            early, self._early_acks = self._early_acks, None
            self._unacked[number] = message
            self._unacked_bytes += len(message.payload)
            if message.retain and not message.is_replay:
                self._update_retained(message)
        if number in early:
            self.on_ack(number, early[number])

    def on_ack(self, number: int, refusal: str) -> None:
        """Record the broker's answer to a message; `refusal` is empty if the broker accepted it."""
        with self._changed:
            message = self._unacked.pop(number, None)
            if message is None:
                if self._early_acks is not None:
                    self._early_acks[number] = refusal
                return
            self._unacked_bytes -= len(message.payload)
            if refusal:
                self._refused.append(message)
                self.refusal = problem("topic_refused", topic=message.topic, reason=refusal)
            elif not message.is_replay and not message.is_command:
                self._keep_acked(message)
            if len(self._unacked) % NOTIFY_EVERY == 0:
                self._changed.notify_all()

    def wait_for_room(self, seconds: float) -> bool:
        """Whether there is room for one more message; wait up to `seconds`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    len(self._unacked) + len(self._refused) < MAX_UNACKED and self._unacked_bytes < MAX_UNACKED_BYTES
                ),
                seconds,
            )

    def wait_until_acked(self, seconds: float) -> bool:
        """Whether the broker accepted all messages; wait up to `seconds`."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._unacked and not self._refused, seconds):
                return False
            self.refusal = None
            return True

    def take_refused(self) -> list[OutgoingMessage]:
        """Remove and return the refused messages, to be sent again."""
        with self._changed:
            refused, self._refused = self._refused, []
            return refused

    def messages_to_replay(self, include_unacked: bool = False) -> list[OutgoingMessage]:
        """Return what a broker may have lost, oldest first: retained state, then recently confirmed messages.

        `include_unacked` adds messages in flight, so that no older message follows them.
        """
        with self._changed:
            self._drop_old()
            in_flight = [message for message in self._unacked.values() if include_unacked and not message.is_command]
            recent = [message for _, message in self._acked] + in_flight
            topics = {message.topic for message in recent}
            state = [message for topic, message in self._retained.items() if topic not in topics]
            return [message._replace(is_replay=True) for message in (*state, *recent)]

    def _update_retained(self, message: OutgoingMessage) -> None:
        if message.payload:
            self._retained[message.topic] = message
        else:
            self._retained.pop(message.topic, None)

    def _keep_acked(self, message: OutgoingMessage) -> None:
        self._acked.append((self._clock(), message))
        self._acked_bytes += len(message.payload)
        self._drop_old()

    def _drop_old(self) -> None:
        while self._acked and (
            self._acked_bytes > MAX_REPLAY_BYTES or self._acked[0][0] < self._clock() - REPLAY_SECONDS
        ):
            self._acked_bytes -= len(self._acked.popleft()[1].payload)
