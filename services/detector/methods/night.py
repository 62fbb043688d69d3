"""night (야간 최소 유량): what the last nights have more than the weeks before, at all hours of the day and at night.

Night flow analysis (IWA; Farley and Trow, 2003) over 3 to 12 nights against a gliding baseline: it finds what a CUSUM
(Page, 1954) over nights finds, with a memory that ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.detector.memory import Day, Past
from services.detector.methods import last_night, steady
from services.detector.methods.rises import BASELINE, CONSTANT, ENOUGH, MINIMUM, NIGHTS, STILL, Rises, rises
from services.detector.methods.spreads import ONE_SIDE, Learned
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats, Ints

BEGIN, END = 22 * 60, 5 * 60
"""Local minutes between which the method looks."""
LATE = 24
"""Slot of a night at which its calmest hours begin before they are known: 02:00."""
FRESH, LASTS = 21, 28
"""Nights after which a rise is no news, and after which that of an open alarm is the site's new level."""
KEPT = LASTS + max(NIGHTS) + BASELINE
LEAST_SPREAD = 0.6
"""Of the spread of other numbers of nights: twelve nights in a row show little of their own in three months."""
AT_ALL, LOWEST = 0.35, 0.6
"""Rises of more than s spreads open about 0.35 exp(-s) false alarms a week (bench/detection); the lowest limit."""
YOUNG = 8.0
"""Nights of which so many fewer known ones double the limit."""
BY_CHANCE = 2.0
"""So many more rises than wished for may have passed the limit while it was learned."""
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


def learn(past: Past, pressure: Past, per_day: float, of_last: float) -> Learned | None:
    """What steady.learn says, the spreads of each number of nights, and the limits; None before enough are known.

    per_day: false alarms of what several nights have more; of_last: of what the last night alone has.
    """
    if len(past.tens) <= ENOUGH or not past.calm.any() or (found := steady.learn(past, pressure)) is None:
        return None
    series = steady.measures(np.stack([past.tens, pressure.tens], axis=1), past.numbers, past.types, found)
    spreads: dict[str, float] = {}
    seen = 0
    for name, flows in zip(MEASURES, series, strict=True):
        rise, _ = rises(flows, past.clean)
        known = [_counted(row, past) for row in rise]
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
    learned = Learned(found.limits | spreads, found.profiles)
    limit = max(math.log(AT_ALL / (7 * per_day)), LOWEST) * (1 + YOUNG / seen)
    limit = _passed_by_few(limit, Rises(series, past.clean).scores(_spreads(learned)), BY_CHANCE + per_day * seen)
    last = last_night.learn(series, past, of_last)
    limits = learned.limits | {"limit": float(f"{limit:.6g}")} | (last.limits if last else {})
    return Learned(limits, found.profiles)


def _counted(rise: Floats, past: Past) -> Floats:
    """Rises of calm nights; of all that are known while those are too few."""
    calm = rise[past.calm & ~np.isnan(rise)]
    return calm if len(calm) >= ENOUGH else rise[past.known & ~np.isnan(rise)]


def _passed_by_few(limit: float, scores: Floats, most: float) -> float:
    """The limit, or as much more as it takes for no more rises than that to pass it, each of any number of nights."""
    for higher in [limit, *np.sort(scores[scores >= limit])]:
        above = scores > higher
        if np.count_nonzero(above[1:] & ~above[:-1]) <= most:
            return float(higher)
    return limit


def _spreads(learned: Learned | None) -> Floats:
    """(len(MEASURES), len(NIGHTS)) m³/h."""
    limits = learned.limits if learned else {}
    return np.array([[limits.get(f"{name}_{count}", math.inf) for count in NIGHTS] for name in MEASURES])


class Night:
    """Running side, of flow rate."""

    def __init__(self, learned: Learned | None) -> None:
        """Raises LookupError or ValueError for what cannot be gone by, as of an older version."""
        self._learned = learned
        if learned:
            steady.measures(np.full((1, 2, 144), np.nan), np.array([1]), np.array([0]), learned)
        limits = learned.limits if learned else {}
        self._spreads = _spreads(learned)
        self._limit = limits.get("limit", 1.0)
        self._first = int(limits.get("calm_from", LATE))
        self.standing = NOT_EVALUATED
        self.flow = math.nan
        """Night minimum flow, m³/h."""
        self.excess: Excess | None = None
        self._last_limit = limits.get("last", math.inf)
        self._last_spread = limits.get("last_spread", 0.0)
        self.last: Excess | None = None
        """What last night alone had more than those before, if that is unusual."""
        self.unseen = False
        """Whether too little is known of it to tell."""
        self.leaking = False
        """Whether what several nights have more is unusual."""
        self.opened = 0
        """Ordinal of the day on whose morning the open alarm began, as told before a night is closed; 0 for none."""
        self.over = False
        """Whether what opened it is there no more, or has become the site's level."""

    def close_night(self, days: list[Day], morning: Floats, number: int, types: Ints, disturbed: set[int]) -> None:
        """Judges the night that ended on day `number` with this (2, 144) morning.

        days: the closed ones before it; types: (n + 1,) which of them and this one are alike.
        """
        self.standing, self.excess, self.over = NOT_EVALUATED, None, number - self.opened >= LASTS
        self.last, self.leaking, self.unseen = None, False, True
        if self._learned is None:
            return
        numbers = np.array([*(day.number for day in days), number])
        series = steady.measures(np.array([*(day.tens for day in days), morning]), numbers, types, self._learned)
        self._look_at_last(last_night.excess(series))
        looked = Rises(series, ~np.isin(numbers, list(disturbed)))
        windows = looked.clearest(self._spreads)
        self.flow = float(series[MINIMUM, -1])
        for place in np.flatnonzero(numbers == self.opened):
            level, rise = (part[:2, windows[place], place] for part in (looked.levels, looked.firmly))
            self.over = self.over or bool((series[:2, -1] - level < STILL * rise).any())
        if np.isnan(looked.firmly[:2, :, -1]).all() and self.last is None:
            return
        self.excess = self._excess(series[CONSTANT], looked.levels[CONSTANT, windows[-1], -1], int(windows[-1]))
        usual = self.excess is None or (self.excess.nights > FRESH and not self.opened)
        score = 0.0 if usual else round(float(looked.scores(self._spreads)[-1]), 2)
        self.leaking = score >= self._limit
        flag = self.leaking or self.last is not None
        self.standing = Check(1 if flag else 0, max(score, self._limit) if flag else score, self._limit)

    def _look_at_last(self, more: float) -> None:
        self.unseen = more != more
        if more > self._last_limit:
            self.last = Excess(more, 1.645 * self._last_spread, 1, math.nan)

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
