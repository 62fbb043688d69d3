"""What the detector remembers of one sensor: whole days of minutes, and when something was wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.contract.messages import CHANNELS, Channel
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.series import Floats, Ints

Singles = NDArray[np.float32]
Mask = NDArray[np.bool_]

MINUTES = 1440
LEARNED_DAYS = 100
"""Days that criteria are learned from: three months and a little."""
RARE_DAYS = 180
"""Days that limits of what is rare are learned from, so that one quarter's unnoticed events don't set them."""
KEPT_DAYS = RARE_DAYS + 50
"""What was expected of a day rests on six weeks before it."""
SUNDAY = 6
SETTLED_DAYS = 14
"""Days after which what is expected of a day rests on every day of the week; those before tell little of limits."""
LASTING = 2 * MINUTES
"""An anomaly that outlasts these minutes is the new state of the site, and is learned from."""
MOST_SPANS = 2000
"""Anomalies that are remembered."""
KNOWN_MINUTES = 360
"""Minutes with a value that make a day worth learning from."""


@dataclass(frozen=True)
class Day:
    """One local day of one sensor; rows 0 and 1 are flow rate (m³/h) and pressure (bar), NaN where unknown."""

    number: int
    """Proleptic ordinal of the local date; 1 was a Monday."""
    values: Singles
    """(2, 1440) by local minute."""
    usual: Singles
    """(2, 1440): what was expected of the day before it began."""
    forecasts: Singles
    """(2, 24, 3): p10, p50, p90 of each hour, issued when it began."""
    tens: Floats
    """(2, 144): ten-minute means."""


def day_types(weekdays: Ints) -> Ints:
    """0 Monday to Friday, 1 Saturday, 2 Sunday."""
    types: Ints = np.maximum(weekdays, 4) - 4
    return types


def ten_minute_means(values: Singles | Floats) -> Floats:
    """(…, 1440) minutes to (…, 144) means; NaN where fewer than five of ten are known."""
    tens = values.astype(np.float64).reshape(*values.shape[:-1], 144, 10)
    known = ~np.isnan(tens)
    count = known.sum(axis=-1)
    means: Floats = np.where(known, tens, 0.0).sum(axis=-1) / np.maximum(count, 1)
    return np.where(count >= 5, means, np.nan)


def minutes_of(tens: Floats) -> Floats:
    """(144,) ten-minute means to (1440,) minutes, straight from middle to middle; NaN where no mean is known."""
    known = ~np.isnan(tens)
    if not known.any():
        return np.full(MINUTES, np.nan)
    middles = np.arange(len(tens)) * 10 + 4.5
    minutes: Floats = np.interp(np.arange(MINUTES), middles[known], tens[known], period=MINUTES)
    return minutes


@dataclass
class Memory:
    """Closed days, oldest first; days without any reading are absent."""

    calendar: HolidayCalendar = NO_HOLIDAYS
    days: deque[Day] = field(default_factory=deque)
    spans: list[tuple[int, int | None]] = field(default_factory=list)
    """(opened, cleared or None) of anomalies, in local minutes since ordinal 0."""
    aside: list[Day] = field(default_factory=list)
    """Days that a clock that was set back has made doubtful."""

    def add(self, day: Day) -> None:
        if self.days and self.days[-1].number >= day.number:
            self.forget_from(day.number)
        self.days.append(day)
        while self.days and self.days[0].number <= day.number - KEPT_DAYS:
            self.days.popleft()
        oldest = (day.number - KEPT_DAYS) * MINUTES
        self.spans = [span for span in self.spans if span[1] is None or span[1] >= oldest][-MOST_SPANS:]

    def before(self, number: int, most: int) -> list[Day]:
        """Days of the `most` days before one."""
        return [day for day in self.days if number - most <= day.number < number]

    def weekday(self, number: int) -> int:
        """0 for Monday; on public holidays water is used as on Sundays."""
        return SUNDAY if self.calendar.is_holiday(number) else (number - 1) % 7

    def types(self, numbers: Iterable[int]) -> Ints:
        """(n,) which days are alike: 0 Monday to Friday, 1 Saturday, 2 Sunday."""
        return day_types(np.array([self.weekday(number) for number in numbers], dtype=np.int64))

    def forget_from(self, number: int) -> None:
        """Drops days from a number on."""
        self.days = deque(day for day in self.days if day.number < number)

    def set_aside(self, number: int) -> None:
        """Drops days from a number on, until it is known whether the meter's clock is wrong now or was before."""
        self.aside = [day for day in self.days if day.number >= number] or self.aside
        self.forget_from(number)

    def take_back(self, number: int) -> None:
        """Puts back what was set aside when day `number`, behind all of it, begins: the clock was wrong meanwhile."""
        if self.aside and number > self.aside[-1].number:
            self.forget_from(self.aside[0].number)
            self.days.extend(self.aside)
            self.aside = []

    def disturbed(self, now: int, lasting: bool = False) -> set[int]:
        """Days with an anomaly, as known at the local minute now; those of a lasting one only if wanted."""
        found: set[int] = set()
        for opened, cleared in self.spans:
            end = now if cleared is None else min(cleared, now)
            if opened < now and (lasting or end - opened < LASTING):
                first = max(opened, now - KEPT_DAYS * MINUTES)
                found.update(range(first // MINUTES, end // MINUTES + 1))
        return found


@dataclass(frozen=True)
class Past:
    """Days to learn from, of one channel; n days by 1440 minutes."""

    numbers: Ints
    types: Ints
    """(n,) days of one type are alike."""
    values: Floats
    usual: Floats
    forecasts: Floats
    """(n, 24, 3)"""
    tens: Floats
    """(n, 144)"""
    known: Mask
    """(n,): enough of its minutes have a value."""
    clean: Mask
    """(n,): known, and without an anomaly."""

    @property
    def calm(self) -> Mask:
        """(n,): the clean days, or all that are known when those are too few."""
        return self.clean if 2 * self.clean.sum() >= self.known.sum() else self.known

    @property
    def residuals(self) -> Floats:
        """(n, 1440): what was seen minus what was expected."""
        return self.values - self.usual


def past_of(memory: Memory, number: int, channel: Channel, length: int = LEARNED_DAYS) -> Past:
    """The last days before a day, of one channel."""
    days = memory.before(number, length)
    late = [day for day in days if day.number >= memory.days[0].number + SETTLED_DAYS]
    days = late if 2 * len(late) >= len(days) else days[len(days) // 2 :]
    row = CHANNELS.index(channel)
    values = _stack([day.values[row] for day in days], (MINUTES,))
    known = np.count_nonzero(~np.isnan(values), axis=1) >= KNOWN_MINUTES
    numbers = np.array([day.number for day in days], dtype=np.int64)
    return Past(
        numbers,
        memory.types(numbers.tolist()),
        values,
        _stack([day.usual[row] for day in days], (MINUTES,)),
        _stack([day.forecasts[row] for day in days], (24, 3)),
        _stack([day.tens[row] for day in days], (144,)),
        known,
        known & ~np.isin(numbers, list(memory.disturbed(number * MINUTES, lasting=True))),
    )


def _stack(rows: list[Singles] | list[Floats], shape: tuple[int, ...]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(-1, *shape)
