"""The queue on disk with a thread for each contact."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from services.notifier.message_queue import MessageQueue
from services.notifier.sending import FIRST_DELAY_SECONDS, Attempt, ContactThread, Sender, drain
from services.notifier.state import Outgoing


class ThreadedMessenger:
    """Queues messages and sends them in the background."""

    def __init__(
        self,
        folder: Path,
        senders: Mapping[str, Sender],
        now: Callable[[], datetime],
        first_delay: float = FIRST_DELAY_SECONDS,
    ) -> None:
        self._queue, self._attempts = MessageQueue(folder), queue.SimpleQueue[Attempt]()
        self._threads = {
            name: ContactThread(name, sender, self._queue, self._attempts, now, first_delay)
            for name, sender in senders.items()
        }

    def start(self) -> None:
        """Start the threads. Raises OSError."""
        self._queue.drop_others(self._threads)
        for thread in self._threads.values():
            thread.start()

    def put(self, message: Outgoing) -> None:
        """Queue a message, unless its key was queued before. Raises Unavailable if it is in memory only."""
        try:
            self._queue.put(message)
        finally:
            if thread := self._threads.get(message.contact):
                thread.wake()

    def attempts(self) -> Iterable[Attempt]:
        """Yield what became of the attempts since the last call."""
        return drain(self._attempts)

    def prune(self, now: datetime) -> None:
        """Delete what was settled long ago."""
        self._queue.prune(now)
