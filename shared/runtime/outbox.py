"""What a service has said: until the broker has confirmed it, and as long after that as the broker may forget it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

MOST, MOST_BYTES = 5000, 16_000_000
"""Messages and payload on their way at once: far from paho's 65,535 numbers, beyond which it drops silently."""
WAKE = 500
"""Answers after which the one who waits looks again whether there is room; an empty outbox wakes too."""
KEPT_SECONDS, KEPT_BYTES = 120.0, 2_000_000
"""Confirmed messages are kept until Mosquitto has surely saved them (autosave_interval), as far as there is room."""


class Sent(NamedTuple):
    """A message on the wire."""

    topic: str
    payload: bytes
    retain: bool
    again: bool = False
    """It was confirmed before; said again to a broker that may have forgotten it."""


class Outbox:
    """Messages by paho's number. Sending is for one thread at a time; answers come from the network thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._open: dict[int, Sent] = {}
        self._early: dict[int, str] | None = None
        """Answers that come while a message is being sent; it may be among them."""
        self._refused: list[Sent] = []
        self._bytes = self._kept_bytes = 0
        self._kept: deque[tuple[float, Sent]] = deque()
        self._retained: dict[str, Sent] = {}
        self.refusal = ""
        """What the broker doesn't take, in words, until it has taken it."""

    def send(self, message: Sent, publish: Callable[[Sent], int]) -> None:
        """Sends a message; `publish` gives its number, under which the answer may come before it is given."""
        with self._changed:
            self._early = {}
        number = publish(message)
        with self._changed:
            early, self._early = self._early, None
            self._open[number] = message
            self._bytes += len(message.payload)
            if message.retain and not message.again:
                self._remember(message)
        if number in early:
            self.answered(number, early[number])

    def answered(self, number: int, refusal: str) -> None:
        """Takes the broker's answer to a message, empty when it took it."""
        with self._changed:
            message = self._open.pop(number, None)
            if message is None:
                if self._early is not None:
                    self._early[number] = refusal
                return
            self._bytes -= len(message.payload)
            if refusal:
                self._refused.append(message)
                self.refusal = f"the broker refuses {message.topic}: {refusal}"
            elif not message.again:
                self._keep(message)
            if len(self._open) % WAKE == 0:
                self._changed.notify_all()

    def has_room(self, seconds: float) -> bool:
        """Whether one more message may go; waits so long for it."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._open) + len(self._refused) < MOST and self._bytes < MOST_BYTES, seconds
            )

    def is_safe(self, seconds: float) -> bool:
        """Whether the broker has taken everything; waits so long for it."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open and not self._refused, seconds):
                return False
            self.refusal = ""
            return True

    def refused(self) -> list[Sent]:
        """Takes out what was refused, to be sent once more."""
        with self._changed:
            found, self._refused = self._refused, []
            return found

    def again(self, with_open: bool = False) -> list[Sent]:
        """What a broker may have forgotten, oldest first: the state, then what it confirmed a short while ago.

        with_open: then what is on its way, so that nothing older comes after it.
        """
        with self._changed:
            self._drop_old()
            recent = [message for _, message in self._kept] + (list(self._open.values()) if with_open else [])
            topics = {message.topic for message in recent}
            state = [message for topic, message in self._retained.items() if topic not in topics]
            return [message._replace(again=True) for message in (*state, *recent)]

    def _remember(self, message: Sent) -> None:
        if message.payload:
            self._retained[message.topic] = message
        else:
            self._retained.pop(message.topic, None)

    def _keep(self, message: Sent) -> None:
        self._kept.append((self._clock(), message))
        self._kept_bytes += len(message.payload)
        self._drop_old()

    def _drop_old(self) -> None:
        while self._kept and (self._kept_bytes > KEPT_BYTES or self._kept[0][0] < self._clock() - KEPT_SECONDS):
            self._kept_bytes -= len(self._kept.popleft()[1].payload)
