"""One thread for each contact sends its messages in order, so that a hanging endpoint delays nobody else."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from services.notifier.incident import elapsed
from services.notifier.message_queue import MessageQueue
from services.notifier.state import Outgoing
from shared.runtime.log import log

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 10.0, 900.0
"""Wait after the first failed attempt; it doubles with each further one."""
GIVE_UP_AFTER = timedelta(hours=24)
POLL_SECONDS = 1.0
"""Pause between two looks at the queue."""


class SendError(Exception):
    """A message could not be sent; the text contains no secret."""


class Sender(Protocol):
    """Sends messages to one contact."""

    def send(self, message: Outgoing) -> None:
        """Send a message. Raises SendError."""
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of an attempt."""

    message: Outgoing
    state: Literal["sent", "waiting", "given_up"]
    reason: str = ""


def retry_delay(attempts: int, first: float = FIRST_DELAY_SECONDS) -> float:
    """Return the seconds to wait after so many failed attempts.

    >>> [retry_delay(attempts) for attempts in (1, 2, 7, 8, 99)]
    [10.0, 20.0, 640.0, 900.0, 900.0]
    """
    return min(first * 2.0 ** min(attempts - 1, 20), MAX_DELAY_SECONDS)


class ContactThread:
    """Sends the waiting messages of one contact; what became of each attempt is put into `attempts`."""

    def __init__(
        self,
        contact: str,
        sender: Sender,
        messages: MessageQueue,
        attempts: queue.SimpleQueue[Attempt],
        now: Callable[[], datetime],
        first_delay: float = FIRST_DELAY_SECONDS,
    ) -> None:
        self._contact, self._sender, self._queue, self._attempts = contact, sender, messages, attempts
        self._now, self._first_delay = now, first_delay
        self._retry_at: dict[str, float] = {}
        """Key to the monotonic time of the next attempt; after a restart all are tried at once."""
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"send-{contact}", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends with the process, at most in the middle of an attempt that is repeated then."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue at once."""
        self._wake.set()

    def send_due(self) -> None:
        """Try each message whose time has come, oldest first."""
        for message in self._queue.waiting(self._contact):
            if time.monotonic() >= self._retry_at.get(message.key, 0.0):
                self._try(message)

    def _run(self) -> None:
        while True:
            try:
                self.send_due()
            except Exception as error:
                # The text of an unknown exception may contain a secret.
                log("notifier", "sending_failed", logging.ERROR, contact=self._contact, reason=type(error).__name__)
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _try(self, message: Outgoing) -> None:
        try:
            self._sender.send(message)
        except SendError as error:
            self._on_failure(message, str(error))
            return
        self._settle(message, "sent")

    def _on_failure(self, message: Outgoing, reason: str) -> None:
        counted = self._queue.record_failure(message.key)
        if elapsed(message.at, self._now()) >= GIVE_UP_AFTER:
            self._settle(counted, "given_up", reason)
            return
        self._retry_at[message.key] = time.monotonic() + retry_delay(counted.attempts, self._first_delay)
        self._attempts.put(Attempt(counted, "waiting", reason))

    def _settle(self, message: Outgoing, result: Literal["sent", "given_up"], reason: str = "") -> None:
        attempts = message.attempts + (result == "sent")
        self._retry_at[message.key] = float("inf")  # sent already, even if that can't be recorded now
        while True:
            try:
                self._queue.finish(message.key, result)
                break
            except OSError as error:
                log("notifier", "result_not_recorded", logging.ERROR, key=message.key, reason=str(error.strerror))
                time.sleep(POLL_SECONDS)
        del self._retry_at[message.key]
        message.attempts = attempts
        self._attempts.put(Attempt(message, result, reason))


def drain(attempts: queue.SimpleQueue[Attempt]) -> Iterable[Attempt]:
    """Yield what became of the attempts since the last call."""
    while True:
        try:
            yield attempts.get_nowait()
        except queue.Empty:
            return
