"""The order of one sensor's minutes: which reading goes on, which is late, which leaps, which was there before."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from shared.contract.messages import Reading

LEAP = 60
"""Minutes ahead from which on a reading must be confirmed by those after it."""
CONFIRMED = 5
"""Readings in a row that confirm a leap: the site was away, and is back."""
TURNED_BACK = 60
"""Late readings in a row after which the clock is taken to have been set back."""
KEPT = 3 * 1440


class Order:
    """Places readings by their minute since the epoch; driven by readings alone, so a backlog gives the same."""

    LATE: ClassVar = 10
    """Minutes behind, or ahead while unconfirmed, that are a fault of the clock."""

    def __init__(self) -> None:
        self.newest: int | None = None
        self.last_at: datetime | None = None
        self.leap = 0
        """Minutes that this reading leaps ahead, while unconfirmed."""
        self.fallen = 0
        """Minutes that the clock went back before the late readings that come now."""
        self.duplicate = self.strange = self.back = False
        self.returned = False
        """The leap before this reading was none: it is back where the others are."""
        self.came_back = 0
        """Minutes that the clock had leapt ahead, confirmed, before the late readings that come now from within it."""
        self._leapt: tuple[int, int] | None = None
        """Minutes before and behind the newest confirmed leap."""
        self._farthest = -1
        self._seen: set[int] = set()
        self._ahead: tuple[int, int] | None = None
        self._late = 0
        self._said = ("", -1)

    @property
    def set_back(self) -> bool:
        """Whether the clock was set back, and is not yet where it had been."""
        return self.newest is not None and self.newest < self._farthest

    def place(self, reading: Reading, minute: int) -> int:
        """Minutes since the newest reading that counts; below 1: not in order, see the attributes."""
        newest = self.newest
        if newest is None:
            return self._go_on(reading, minute, 1)
        step = minute - newest
        if 0 < step <= LEAP and minute not in self._seen:
            if self._ahead is not None:
                self._ahead, self.returned = None, True
            return self._go_on(reading, minute, step)
        self.duplicate = minute in self._seen
        if step > LEAP:
            return self._leap(reading, minute, step)
        return self._fall_back(reading, minute, step)

    def remember(self, minutes: list[int]) -> None:
        """Takes the minutes of past readings, newest last."""
        if minutes:
            self.newest = minutes[-1]
            self._seen.update(minutes[-KEPT:])

    def _go_on(self, reading: Reading, minute: int, step: int) -> int:
        self.newest, self.last_at = minute, reading.at
        self._said = (reading.boot_id, reading.seq)
        self._late = 0
        self._see(minute)
        return step

    def _see(self, minute: int) -> None:
        """Remembers a minute; of too many, those nearest to the newest that counts."""
        self._seen.add(minute)
        if len(self._seen) > 2 * KEPT:
            newest = self.newest or minute
            self._seen = set(sorted(self._seen, key=lambda one: abs(one - newest))[:KEPT])

    def _leap(self, reading: Reading, minute: int, step: int) -> int:
        last, count = self._ahead or (minute - 1, 0)
        count = count + 1 if 0 < minute - last <= LEAP else 1
        self.strange = self.back = False
        if self.duplicate:
            return 0
        if count > CONFIRMED:
            self._ahead = None
            self._leapt = None if self.set_back else (minute - step, minute - CONFIRMED)
            return self._go_on(reading, minute, step)
        self._ahead = (minute, count)
        self.leap = step
        self._see(minute)
        return 0

    def _fall_back(self, reading: Reading, minute: int, step: int) -> int:
        again = self.duplicate and (reading.boot_id != self._said[0] or reading.seq <= self._said[1])
        self.leap = 0
        self._late = self._late + 1 if step <= -self.LATE and not again else 0
        if self._late == 1:
            self.fallen = 1 - step
            before, behind = self._leapt or (minute, minute)
            self.came_back = behind - before if before < minute < behind else 0
        self.strange = self._late >= 3
        self.back = self._late >= TURNED_BACK and not self.duplicate
        self._see(minute)
        if self.back:
            self._farthest = max(self._farthest, self.newest or minute)
            self.newest, self._late = minute, 0
        if not again:
            self._said = (reading.boot_id, reading.seq)
        return min(step, 0)
