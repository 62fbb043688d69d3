"""night (야간 최소 유량): what the last nights have more than the weeks before, at all hours of the day and at night.

Night flow analysis (IWA; Farley and Trow, 2003) over 3 to 12 nights against a gliding baseline: it finds what a CUSUM
(Page, 1954) over nights finds, with a memory that ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.detector.memory import Day, Mask, Past
from services.detector.methods import steady
from services.detector.methods.spreads import ONE_SIDE, Learned
from services.detector.usual import median
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

BEGIN, END = 22 * 60, 5 * 60
"""Local minutes between which the method looks."""
NIGHTS = (3, 5, 8, 12)
"""Nights that are looked at together."""
BASELINE = 42
FIRM = 3
"""The last nights, of which each must show a part of a rise: what is there for a night or two is no leak."""
STILL = 0.5
"""That part; and the part of what opened an alarm that must still be there."""
LATE = 24
"""Slot of a night at which its calmest hours begin before they are known: 02:00."""
ENOUGH = 4
"""Nights that a baseline or a spread needs."""
FRESH, LASTS = 21, 28
"""Nights after which a rise is no news, and after which that of an open alarm is the site's new level."""
KEPT = LASTS + max(NIGHTS) + BASELINE
LEAST_SPREAD = 0.6
"""Of the spread of other numbers of nights: twelve nights in a row show little of their own in three months."""
AT_ALL, LOWEST = 0.35, 0.6
"""Rises of more than s spreads open about 0.35 exp(-s) false alarms a week (bench/detection); the lowest limit."""
YOUNG = 8.0
"""Nights of which so many fewer known ones double the limit."""
DEMAND = 2.0
"""Spreads, and times the night's rise, that a day's rise must have to be one of demand, as in heat or on holidays."""
CONSTANT, MINIMUM, BY_DAY = range(3)
MEASURES = ("rise", "night", "day")
"""Names of their spreads among the limits."""


@dataclass(frozen=True)
class Excess:
    """What the last nights have more than before."""

    flow: float
    """m³/h"""
    doubt: float
    """Half the width of the interval that holds `flow` in nine of ten cases, m³/h."""
    nights: int
    """So long ago it began."""
    water: float
    """m³ since then."""


def rises(flows: Floats, clean: Mask) -> tuple[Floats, Floats]:
    """(len(NIGHTS), n) how far the nights up to each are above the weeks before them, m³/h, and the levels there.

    flows: (n,) by night, oldest first; clean: which make a baseline. NaN where unknown.
    """
    levels, own = _levels(flows, clean), np.full((len(NIGHTS), len(flows)), np.nan)
    rise = own.copy()
    for place, count in enumerate(NIGHTS):
        latest = _windows(flows, count)
        own[place, count:] = levels[:-count]
        known = 2 * np.count_nonzero(~np.isnan(latest), axis=1) > count
        rise[place] = np.where(known, median(latest.T), np.nan) - own[place]
    return rise, own


def firm(flows: Floats, rise: Floats, levels: Floats) -> Floats:
    """The rises that the last nights show one by one; NaN where the last is unknown."""
    least = np.nan_to_num(_windows(flows, FIRM), nan=np.inf).min(axis=1)
    found: Floats = np.where(np.isnan(flows), np.nan, np.minimum(rise, (least - levels) / STILL))
    return found


def _levels(flows: Floats, clean: Mask) -> Floats:
    """(n,) median of the weeks up to each night, without disturbed nights unless hardly any other is left."""
    every, calm = _windows(flows, BASELINE), _windows(np.where(clean, flows, np.nan), BASELINE)
    known, left = np.count_nonzero(~np.isnan(every), axis=1), np.count_nonzero(~np.isnan(calm), axis=1)
    base = np.where((2 * left >= known)[:, None], calm, every)
    return np.where(np.count_nonzero(~np.isnan(base), axis=1) >= ENOUGH, median(base.T), np.nan)


def _windows(flows: Floats, count: int) -> Floats:
    """(n, count) the last values up to each; NaN before the first."""
    return np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(count - 1, np.nan), flows]), count)


def learn(past: Past, per_day: float) -> Learned | None:
    """What steady.learn says, and the spreads of each number of nights; None before enough nights are known."""
    if len(past.tens) <= ENOUGH or not past.calm.any() or (found := steady.learn(past)) is None:
        return None
    series = steady.measures(past.tens, past.numbers, found)
    spreads: dict[str, float] = {}
    seen = 0
    for name, flows in zip(MEASURES, series, strict=True):
        rise, _ = rises(flows, past.clean)
        known = [row[past.calm & ~np.isnan(row)] for row in rise]
        seen = max(map(len, known))
        if seen < ENOUGH:
            return None
        wide = [float(np.quantile(np.abs(row), 0.8)) / ONE_SIDE if len(row) >= ENOUGH else math.inf for row in known]
        floor = max(LEAST_SPREAD * max(one for one in wide if one < math.inf), 0.001 * abs(float(np.nanmedian(flows))))
        if not floor:
            return None
        spreads |= {
            f"{name}_{count}": float(f"{max(one, floor):.6g}")
            for count, one in zip(NIGHTS, wide, strict=True)
            if one < math.inf
        }
    limit = max(math.log(AT_ALL / (7 * per_day)), LOWEST) * (1 + YOUNG / seen)
    return Learned(found.limits | spreads | {"limit": float(f"{limit:.6g}")}, found.profiles)


class Night:
    """Running side, of flow rate."""

    def __init__(self, learned: Learned | None) -> None:
        """Raises LookupError or ValueError for what cannot be gone by, as of an older version."""
        self._learned = learned
        if learned:
            steady.measures(np.full((1, 144), np.nan), np.array([1]), learned)
        limits = learned.limits if learned else {}
        self._spreads = np.array([[limits.get(f"{name}_{count}", math.inf) for count in NIGHTS] for name in MEASURES])
        self._limit = limits.get("limit", 1.0)
        self._first = int(limits.get("calm_from", LATE))
        self.standing = NOT_EVALUATED
        self.flow = math.nan
        """Night minimum flow, m³/h."""
        self.excess: Excess | None = None
        self.opened = 0
        """Ordinal of the day on whose morning the open alarm began, as told before a night is closed; 0 for none."""
        self.over = False
        """Whether what opened it is there no more, or has become the site's level."""

    def close_night(self, days: list[Day], morning: Floats, number: int, disturbed: set[int]) -> None:
        """Judges the night that ended on day `number` with this (144,) morning; days: the closed ones before it."""
        self.standing, self.excess, self.over = NOT_EVALUATED, None, number - self.opened >= LASTS
        if self._learned is None:
            return
        numbers = np.array([*(day.number for day in days), number])
        series = steady.measures(np.array([*(day.tens[0] for day in days), morning]), numbers, self._learned)
        clean = ~np.isin(numbers, list(disturbed))
        found, levels = (np.array(part) for part in zip(*(rises(flows, clean) for flows in series), strict=True))
        firmly = np.array([firm(*each) for each in zip(series, found, levels, strict=True)])
        self.flow = float(series[MINIMUM, -1])
        for place in np.flatnonzero(numbers == self.opened):
            window = self._clearest(firmly[CONSTANT, :, place])
            risen = series[:2, -1] - levels[:2, window, place] < STILL * firmly[:2, window, place]
            self.over = self.over or bool(risen.any())
        if math.isnan(self.flow):
            return
        if np.isnan(firmly[:2, :, -1]).all():
            return
        window = self._clearest(firmly[CONSTANT, :, -1])
        self.excess = self._excess(series[CONSTANT], levels[CONSTANT, window, -1], window)
        known = self.excess is None or (self.excess.nights > FRESH and not self.opened)
        usual = known or self._of_demand(found[:, window, -1], window)
        score = 0.0 if usual else self._score(firmly[:2, :, -1])
        self.standing = Check(1 if score >= self._limit else 0, score, self._limit)

    def _clearest(self, rise: Floats) -> int:
        """Place of the number of nights with the rise of most spreads."""
        return int(np.argmax(np.nan_to_num(rise / self._spreads[CONSTANT], nan=-np.inf)))

    def _score(self, rise: Floats) -> float:
        """Spreads by which both the constant part and the night minimum have risen."""
        spreads = np.nan_to_num(rise / self._spreads[:2], nan=-np.inf).max(axis=1)
        return round(max(float(spreads.min()), 0.0), 2)

    def _of_demand(self, rise: Floats, window: int) -> bool:
        """Whether the day has risen far more than its night: people use more water."""
        return bool(rise[BY_DAY] > DEMAND * max(float(rise[MINIMUM]), float(self._spreads[BY_DAY, window])))

    def _excess(self, flows: Floats, level: float, window: int) -> Excess | None:
        """Size, and since when the nights are above the level by a quarter of it."""
        flow = float(np.nanmedian(flows[-NIGHTS[window] :])) - level
        if not flow > 0:
            return None
        above = np.isnan(flows) | (flows >= level + flow / 4)
        first = len(flows) - 1
        while first > 1 and above[first - 2 : first].any():
            first -= 1
        water = 24 * float(np.nansum(np.maximum(flows[first:] - level, 0.0)))
        return Excess(flow, 1.645 * float(self._spreads[CONSTANT, window]), len(flows) - first, water)

    def deep(self, minute: int) -> bool:
        """Whether a minute of the day is in the last hour of the site's calmest ones, as far as they are known."""
        slot = (minute // 10 + steady.EVENING) % 144
        return self._first + steady.CALM_SLOTS - 6 <= slot < self._first + steady.CALM_SLOTS

    def check(self, minute: int, value: float | None) -> Check:
        """The Check at a minute of the day: that of the newest complete night, within 22:00–05:00."""
        if value is None or END <= minute < BEGIN:
            return NOT_EVALUATED
        return self.standing
