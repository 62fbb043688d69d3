"""Which minute a Tick closes: that of the machine's clock while it can be believed, and never an earlier one again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.domain.series import MINUTE

LEAP = 60
"""Minutes ahead up to which the clock is followed at once."""
STANDS = 144
"""A leap is believed after a minute for each so many that it is long: ten minutes for a day, two and a half days for a
year."""
SLEWED = 1440
"""Minutes back up to which ticks wait for the clock, at half its pace."""
FIRST_YEAR = 2024
"""No mini PC with WVR on it is older; a clock before that has lost its battery."""
FIRST = int(datetime.fromisoformat(f"{FIRST_YEAR}-01-01T00:00Z").timestamp()) // MINUTE
AT_PACE = 10
"""Minutes that the newest reading advances within one at the most, if the meter speaks of now and not of a backlog."""
SURE = 5
"""Minutes in a row in which live readings and the clock differ before it is said."""

GO_ON = "minutes are counted on without it. Set the clock"


class Minutes:
    """Minutes since the epoch. Asked once a minute, whatever the clock does (docs/decisions/0009-clock.md)."""

    def __init__(self, last: int | None, keep: Callable[[int], None]) -> None:
        """`last` is the newest minute of earlier runs; `keep` remembers it for later ones, before its Tick goes out."""
        self.last = last
        self._keep = keep
        self._clock: int | None = None
        self._stood = 0
        """Minutes that the clock has gone on since it leapt."""
        self._waited = False
        self._heard: int | None = None
        """Of the newest reading since the minute before."""
        self._before: int | None = None
        self._apart, self._ahead = 0, 0
        self._doubt = ""

    @property
    def note(self) -> str:
        """What the operator must know of the clock; empty while it is believed."""
        if self._doubt or self._apart < SURE:
            return self._doubt
        side = "ahead of" if self._ahead > 0 else "behind"
        return f"the meter's clock is {span(abs(self._ahead))} {side} this machine's: set the wrong one"

    def hear(self, minute: int) -> None:
        """Takes the minute of a reading."""
        self._heard = minute

    def close(self, clock: int) -> int | None:
        """The minute to close when the clock closes `clock`; None: this time none, the clock is behind."""
        self._stood = self._stood + 1 if self._clock is not None and 0 <= clock - self._clock <= 2 else 0
        self._clock = clock
        minute = clock if self.last is None else self._following(clock, self.last)
        self._compare(clock)
        if minute is not None:
            self.last = minute
            self._keep(minute)
        return minute

    def _following(self, clock: int, last: int) -> int | None:
        step = clock - last
        if 0 < step <= LEAP or (step > 0 and self._confirmed(clock, last)):
            self._doubt, self._waited = "", False
            return clock
        if step > 0:
            self._doubt = f"this machine's clock leapt {span(step - 1)} ahead, and nothing confirms it: {GO_ON}"
            return last + 1
        if step < -SLEWED:
            self._doubt = f"this machine's clock is {span(-step)} behind what it was: {GO_ON}"
            return last + 1
        self._waited = not self._waited
        if step < -2:
            self._doubt = (
                f"this machine's clock went back: minutes pass at half pace until it has made up for {span(-step)}"
            )
        return None if self._waited else last + 1

    def _confirmed(self, clock: int, last: int) -> bool:
        """A reading says the same, or the clock has stood long enough, or the one before was surely wrong."""
        heard = self._heard is not None and abs(self._heard - clock) <= LEAP
        return heard or last < FIRST <= clock or self._stood > (clock - last) // STANDS

    def _compare(self, clock: int) -> None:
        """Looks whether readings go at the clock's pace, but at another time."""
        heard, before, self._heard = self._heard, self._before, None
        if heard is None:
            return
        self._before, self._ahead = heard, heard - clock
        live = before is not None and 0 < heard - before <= AT_PACE
        self._apart = self._apart + 1 if live and abs(self._ahead) > LEAP else 0


def span(minutes: int) -> str:
    """A duration in words."""
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return f"{minutes / length:.0f} {unit}"
    return f"{minutes} minutes"
