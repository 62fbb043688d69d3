"""What is told of what was refused: a flood of it is told in part, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from shared.contract.messages import Rejected

MOST = 60
"""Told one by one in a minute."""
MINUTE = 60.0


class Complaints:
    """Passes on the first MOST of a minute; when it is over, says how many more there were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._since = clock()
        self._told = self._swallowed = 0
        self._last: Rejected | None = None

    def take(self, rejected: Rejected) -> Iterator[Rejected]:
        """What is to be told now."""
        yield from self.due()
        self._last = rejected
        if self._told < MOST:
            self._told += 1
            yield rejected
        else:
            self._swallowed += 1

    def due(self) -> Iterator[Rejected]:
        """At the end of a minute, what was swallowed in it."""
        if self._clock() - self._since < MINUTE:
            return
        swallowed, self._told, self._swallowed, self._since = self._swallowed, 0, 0, self._clock()
        if swallowed and self._last:
            reason = f"{swallowed} more were refused and not told; the last: {self._last.reason}"
            yield replace(self._last, reason=reason[:4000])
