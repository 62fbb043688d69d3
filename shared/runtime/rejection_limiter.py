"""Rate limit for Rejected messages: a flood is published in part and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from shared.contract.messages import LocalizedText, Rejected
from shared.contract.texts import localized

MAX_PER_MINUTE = 60
"""Messages published individually per minute."""
WINDOW_SECONDS = 60.0


class RejectionLimiter:
    """Passes on the first MAX_PER_MINUTE messages of a minute, and at its end the number of the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._since = clock()
        self._admitted = self._suppressed = 0
        self._last: Rejected | None = None

    def admit(self, rejected: Rejected) -> Iterator[Rejected]:
        """Yield what is published now."""
        yield from self.flush_summary()
        self._last = rejected
        if self._admitted < MAX_PER_MINUTE:
            self._admitted += 1
            yield rejected
        else:
            self._suppressed += 1

    def flush_summary(self) -> Iterator[Rejected]:
        """Yield, at the end of a minute, the number of suppressed messages."""
        if self._clock() - self._since < WINDOW_SECONDS:
            return
        suppressed, self._admitted, self._suppressed, self._since = self._suppressed, 0, 0, self._clock()
        if suppressed and self._last:
            last = self._last.reason
            counted = localized(
                "이 1분 동안 {count}건을 더 거부했습니다. 마지막: ",
                "{count} more messages were rejected in this minute; the last: ",
                count=suppressed,
            )
            reason = LocalizedText((counted.ko + last.ko)[:4000], (counted.en + last.en)[:4000])
            yield replace(self._last, reason=reason)
