"""What is told of what was refused: a flood of it is told in part, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from shared.contract.messages import Rejected

MAX_PER_MINUTE = 60
"""Told one by one in a minute."""
WINDOW_SECONDS = 60.0


class RejectionLimiter:
    """Passes on the first MOST of a minute; when it is over, says how many more there were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._since = clock()
        self._admitted = self._suppressed = 0
        self._last: Rejected | None = None

    def admit(self, rejected: Rejected) -> Iterator[Rejected]:
        """What is to be told now."""
        yield from self.flush_summary()
        self._last = rejected
        if self._admitted < MAX_PER_MINUTE:
            self._admitted += 1
            yield rejected
        else:
            self._suppressed += 1

    def flush_summary(self) -> Iterator[Rejected]:
        """At the end of a minute, what was swallowed in it."""
        if self._clock() - self._since < WINDOW_SECONDS:
            return
        suppressed, self._admitted, self._suppressed, self._since = self._suppressed, 0, 0, self._clock()
        if suppressed and self._last:
            reason = f"{suppressed} more were refused and not told; the last: {self._last.reason}"
            yield replace(self._last, reason=reason[:4000])
