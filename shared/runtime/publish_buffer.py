"""What a service has said: until the broker has confirmed it, and as long after that as the broker may forget it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

MAX_UNACKED, MAX_UNACKED_BYTES = 5000, 16_000_000
"""Messages and payload on their way at once: far from paho's 65,535 numbers, beyond which it drops silently."""
NOTIFY_EVERY = 500
"""Answers after which the one who waits looks again whether there is room; an empty outbox wakes too."""
REPLAY_SECONDS, MAX_REPLAY_BYTES = 120.0, 2_000_000
"""Confirmed messages are kept until Mosquitto has surely saved them (autosave_interval), as far as there is room."""


class OutgoingMessage(NamedTuple):
    """A message on the wire."""

    topic: str
    payload: bytes
    retain: bool
    is_replay: bool = False
    """It was confirmed before; said again to a broker that may have forgotten it."""


class PublishBuffer:
    """Messages by paho's number. Sending is for one thread at a time; answers come from the network thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._unacked: dict[int, OutgoingMessage] = {}
        self._early_acks: dict[int, str] | None = None
        """Answers that come while a message is being sent; it may be among them."""
        self._refused: list[OutgoingMessage] = []
        self._unacked_bytes = self._acked_bytes = 0
        self._acked: deque[tuple[float, OutgoingMessage]] = deque()
        self._retained: dict[str, OutgoingMessage] = {}
        self.refusal = ""
        """What the broker doesn't take, in words, until it has taken it."""

    def send(self, message: OutgoingMessage, publish: Callable[[OutgoingMessage], int]) -> None:
        """Sends a message; `publish` gives its number, under which the answer may come before it is given."""
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
        """Takes the broker's answer to a message, empty when it took it."""
        with self._changed:
            message = self._unacked.pop(number, None)
            if message is None:
                if self._early_acks is not None:
                    self._early_acks[number] = refusal
                return
            self._unacked_bytes -= len(message.payload)
            if refusal:
                self._refused.append(message)
                self.refusal = f"the broker refuses {message.topic}: {refusal}"
            elif not message.is_replay:
                self._keep_acked(message)
            if len(self._unacked) % NOTIFY_EVERY == 0:
                self._changed.notify_all()

    def wait_for_room(self, seconds: float) -> bool:
        """Whether one more message may go; waits so long for it."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    len(self._unacked) + len(self._refused) < MAX_UNACKED and self._unacked_bytes < MAX_UNACKED_BYTES
                ),
                seconds,
            )

    def wait_until_acked(self, seconds: float) -> bool:
        """Whether the broker has taken everything; waits so long for it."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._unacked and not self._refused, seconds):
                return False
            self.refusal = ""
            return True

    def take_refused(self) -> list[OutgoingMessage]:
        """Takes out what was refused, to be sent once more."""
        with self._changed:
            refused, self._refused = self._refused, []
            return refused

    def messages_to_replay(self, include_unacked: bool = False) -> list[OutgoingMessage]:
        """What a broker may have forgotten, oldest first: the state, then what it confirmed a short while ago.

        with_open: then what is on its way, so that nothing older comes after it.
        """
        with self._changed:
            self._drop_old()
            recent = [message for _, message in self._acked] + (list(self._unacked.values()) if include_unacked else [])
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
