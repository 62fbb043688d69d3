"""Which minute a Tick closes: that of the machine's clock while it can be believed, and never an earlier one again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.domain.series import MINUTE

JUMP_MINUTES = 60
"""Minutes ahead up to which the clock is followed at once."""
MINUTES_PER_CONFIRMATION = 144
"""A leap is believed after a minute for each so many that it is long: ten minutes for a day, two and a half days for a
year."""
SLEW_LIMIT_MINUTES = 1440
"""Minutes back up to which ticks wait for the clock, at half its pace."""
MIN_YEAR = 2024
"""No mini PC with WVR on it is older; a clock before that has lost its battery."""
MIN_MINUTE = int(datetime.fromisoformat(f"{MIN_YEAR}-01-01T00:00Z").timestamp()) // MINUTE
MAX_PACE_MINUTES = 10
"""Minutes that the newest reading advances within one at the most, if the meter speaks of now and not of a backlog."""
MISMATCH_MINUTES = 5
"""Minutes in a row in which live readings and the clock differ before it is said."""

ADVICE = "minutes are counted on without it. Set the clock"


class TickClock:
    """Minutes since the epoch. Asked once a minute, whatever the clock does (docs/decisions/0009-clock.md)."""

    def __init__(self, last: int | None, save: Callable[[int], None]) -> None:
        """`last` is the newest minute of earlier runs; `keep` remembers it for later ones, before its Tick goes out."""
        self.last = last
        self._save = save
        self._clock: int | None = None
        self._steady_minutes = 0
        """Minutes that the clock has gone on since it leapt."""
        self._skipped_last = False
        self._newest_reading: int | None = None
        """Of the newest reading since the minute before."""
        self._previous_reading: int | None = None
        self._mismatch_minutes, self._reading_offset = 0, 0
        self._clock_warning = ""

    @property
    def warning(self) -> str:
        """What the operator must know of the clock; empty while it is believed."""
        if self._clock_warning or self._mismatch_minutes < MISMATCH_MINUTES:
            return self._clock_warning
        side = "ahead of" if self._reading_offset > 0 else "behind"
        return f"the meter's clock is {humanise_minutes(abs(self._reading_offset))} {side} this machine's: set the wrong one"

    def observe_reading(self, minute: int) -> None:
        """Takes the minute of a reading."""
        self._newest_reading = minute

    def next_tick(self, clock: int) -> int | None:
        """The minute to close when the clock closes `clock`; None: this time none, the clock is behind."""
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
            self._clock_warning, self._skipped_last = "", False
            return clock
        if step > 0:
            self._clock_warning = (
                f"this machine's clock leapt {humanise_minutes(step - 1)} ahead, and nothing confirms it: {ADVICE}"
            )
            return last + 1
        if step < -SLEW_LIMIT_MINUTES:
            self._clock_warning = f"this machine's clock is {humanise_minutes(-step)} behind what it was: {ADVICE}"
            return last + 1
        self._skipped_last = not self._skipped_last
        if step < -2:
            self._clock_warning = f"this machine's clock went back: minutes pass at half pace until it has made up for {humanise_minutes(-step)}"
        return None if self._skipped_last else last + 1

    def _is_confirmed(self, clock: int, last: int) -> bool:
        """A reading says the same, or the clock has stood long enough, or the one before was surely wrong."""
        heard = self._newest_reading is not None and abs(self._newest_reading - clock) <= JUMP_MINUTES
        return heard or last < MIN_MINUTE <= clock or self._steady_minutes > (clock - last) // MINUTES_PER_CONFIRMATION

    def _compare_clocks(self, clock: int) -> None:
        """Looks whether readings go at the clock's pace, but at another time."""
        heard, before, self._newest_reading = self._newest_reading, self._previous_reading, None
        if heard is None:
            return
        self._previous_reading, self._reading_offset = heard, heard - clock
        live = before is not None and 0 < heard - before <= MAX_PACE_MINUTES
        self._mismatch_minutes = self._mismatch_minutes + 1 if live and abs(self._reading_offset) > JUMP_MINUTES else 0


def humanise_minutes(minutes: int) -> str:
    """A duration in words."""
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return f"{minutes / length:.0f} {unit}"
    return f"{minutes} minutes"
