"""Which minute a Tick closes: that of the machine's clock while it is plausible, and never an earlier one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.contract.status_codes import Problem, problem
from shared.domain.series import MINUTE

JUMP_MINUTES = 60
"""Minutes ahead up to which the clock is followed at once."""
MINUTES_PER_CONFIRMATION = 144
"""Minutes of a clock jump that one minute of steady running confirms: ten minutes for a day, 2.5 days for a year."""
SLEW_LIMIT_MINUTES = 1440
"""Minutes of a clock setback up to which ticks wait for the clock, at half its pace."""
MIN_YEAR = 2024
"""No mini PC with WVR is older. A clock before this year has lost its battery."""
MIN_MINUTE = int(datetime.fromisoformat(f"{MIN_YEAR}-01-01T00:00Z").timestamp()) // MINUTE
MAX_PACE_MINUTES = 10
"""Largest advance of the newest reading within a minute for live readings; a backlog advances faster."""
MISMATCH_MINUTES = 5
"""Consecutive minutes in which live readings and the clock differ before the status reports it."""


class TickClock:
    """Closes one minute (since the epoch) per call, on any clock; docs/decisions/0009-ticks-under-a-wrong-clock.md."""

    def __init__(self, last: int | None, save: Callable[[int], None]) -> None:
        """`last` is the newest minute of earlier runs; `save` stores it for later runs before its Tick is published."""
        self.last = last
        self._save = save
        self._clock: int | None = None
        self._steady_minutes = 0
        """Minutes that the clock has run steadily since it jumped."""
        self._skipped_last = False
        self._newest_reading: int | None = None
        """Minute of the newest reading since the previous tick."""
        self._previous_reading: int | None = None
        self._mismatch_minutes, self._reading_offset = 0, 0
        self._clock_problem: Problem | None = None

    @property
    def problem(self) -> Problem | None:
        """Problem of the clock; None while it is plausible."""
        if self._clock_problem or self._mismatch_minutes < MISMATCH_MINUTES:
            return self._clock_problem
        key = "meter_clock_ahead" if self._reading_offset > 0 else "meter_clock_behind"
        return _span_problem(key, abs(self._reading_offset))

    def observe_reading(self, minute: int) -> None:
        """Record the minute of a reading; of those since the previous tick the newest counts."""
        self._newest_reading = minute if self._newest_reading is None else max(minute, self._newest_reading)

    def next_tick(self, clock: int) -> int | None:
        """Return the minute to close when the clock closes `clock`; None if the clock is behind and the tick waits."""
        self._steady_minutes = (
            self._steady_minutes + 1 if self._clock is not None and 0 <= clock - self._clock <= 2 else 0
        )
        self._clock = clock
        minute = clock if self.last is None else self._next_minute(clock, self.last)
        self._compare_clocks(clock)
        if minute is not None:
            self.last = minute
            self._save(minute)
        return minute

    def _next_minute(self, clock: int, last: int) -> int | None:
        step = clock - last
        if 0 < step <= JUMP_MINUTES or (step > 0 and self._is_confirmed(clock, last)):
            self._clock_problem, self._skipped_last = None, False
            return clock
        if step > 0:
            self._clock_problem = _span_problem("clock_unconfirmed", step - 1)
            return last + 1
        if step < -SLEW_LIMIT_MINUTES:
            self._clock_problem = _span_problem("clock_behind", -step)
            return last + 1
        self._skipped_last = not self._skipped_last
        if step < -2:
            self._clock_problem = _span_problem("clock_set_back", -step)
        return None if self._skipped_last else last + 1

    def _is_confirmed(self, clock: int, last: int) -> bool:
        """Whether a reading agrees, the clock has run steadily long enough, or the previous clock was wrong."""
        reading = self._newest_reading is not None and abs(self._newest_reading - clock) <= JUMP_MINUTES
        return (
            reading or last < MIN_MINUTE <= clock or self._steady_minutes > (clock - last) // MINUTES_PER_CONFIRMATION
        )

    def _compare_clocks(self, clock: int) -> None:
        """Check whether readings advance at the clock's pace, but at a different time."""
        reading, previous, self._newest_reading = self._newest_reading, self._previous_reading, None
        if reading is None:
            return
        self._previous_reading, self._reading_offset = reading, reading - clock
        live = previous is not None and 0 < reading - previous <= MAX_PACE_MINUTES
        self._mismatch_minutes = self._mismatch_minutes + 1 if live and abs(self._reading_offset) > JUMP_MINUTES else 0


def _span_problem(key: str, minutes: int) -> Problem:
    """Return a problem whose text contains a duration."""
    for length, korean, english in ((1440, "일", "days"), (60, "시간", "hours")):
        if minutes >= 2 * length:
            number = f"{minutes / length:.0f}"
            return problem(key, span=f"{number} {english}", span_ko=f"{number}{korean}")
    return problem(key, span=f"{minutes} minutes", span_ko=f"{minutes}분")
