"""Sends past readings to db_writer part by part, and again until each part is stored."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from itertools import takewhile

from shared.contract.messages import HistoryAnswer, HistoryBatch

PARTS_AHEAD = 10
"""Parts that are sent and not answered yet. More would fill the broker's memory while db_writer is away."""
MAX_WAIT_ROUNDS = 64
"""Longest wait before unanswered parts are sent again. It doubles each time, because the broker may still have them."""


class HistorySender:
    """The parts of one transfer by number, made when they are sent.

    The last part is sent once all others are answered: when it is stored, the whole history is.
    """

    def __init__(self, parts: int, make_part: Callable[[int, str], HistoryBatch]) -> None:
        """`make_part` returns the part with a number, from 1, for the transfer with an id."""
        self.transfer = uuid.uuid4().hex[:12]
        self.parts = parts
        self.rejected: list[HistoryAnswer] = []
        """Parts that db_writer could not store."""
        self._make_part = make_part
        self._next = 1
        """Number of the first part that was never sent."""
        self._unanswered: dict[int, None] = {}
        """Numbers of sent parts in the order of sending, which is that of the answers."""
        self._lost: set[int] = set()
        """Unanswered parts that are due again."""
        self._rounds, self._wait_rounds = 0, 1

    @property
    def answered(self) -> int:
        """Number of parts that db_writer has answered."""
        return self._next - 1 - len(self._unanswered)

    @property
    def is_complete(self) -> bool:
        """Whether every part is answered."""
        return self.answered == self.parts

    def all_parts(self) -> Iterator[HistoryBatch]:
        """Yield all parts, for a receiver that needs to answer none."""
        return (self._make_part(number, "") for number in range(1, self.parts + 1))

    def next_parts(self) -> Iterator[HistoryBatch]:
        """Yield the parts that are due now."""
        while self._lost or (self._next <= self.parts and len(self._unanswered) < self._max_unanswered()):
            number = min(self._lost, default=self._next)
            part = self._make_part(number, self.transfer)
            self._next += number == self._next
            self._lost.discard(number)
            self._unanswered.pop(number, None)
            self._unanswered[number] = None
            yield part

    def on_answer(self, answer: HistoryAnswer) -> bool:
        """Record an answer; return whether it is new. Parts that were sent before this one are lost."""
        if answer.transfer != self.transfer or answer.part not in self._unanswered:
            return False
        self._lost.update(takewhile(lambda number: number != answer.part, self._unanswered))
        del self._unanswered[answer.part]
        self._lost.discard(answer.part)
        self._rounds, self._wait_rounds = 0, 1
        if not answer.stored:
            self.rejected.append(answer)
        return True

    def on_round(self) -> int:
        """Count a round without an answer, in equal intervals; return how many parts now count as lost."""
        self._rounds += 1
        if not self._unanswered or self._rounds <= self._wait_rounds:
            return 0
        self._lost.update(self._unanswered)
        self._rounds, self._wait_rounds = 0, min(2 * self._wait_rounds, MAX_WAIT_ROUNDS)
        return len(self._lost)

    def _max_unanswered(self) -> int:
        return 1 if self._next == self.parts else PARTS_AHEAD
