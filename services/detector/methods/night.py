"""night (야간 최소 유량): the site's own calmest hours of the night, over one night to two weeks, against those before.

Night flow analysis (IWA; Farley and Trow, 2003) on ten-minute means of 22:00–05:00; means over several numbers of
nights against a gliding baseline find what a CUSUM (Page, 1954) over nights finds, with a memory that ends.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.memory import Day, Mask, Past
from services.detector.methods.spreads import LOWEST, Learned
from services.detector.tail import limit_for
from services.detector.usual import median
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats, Ints

BEGIN, END = 22 * 60, 5 * 60
"""Local minutes between which the method looks."""
EVENING, MORNING = 12, 30
"""Ten-minute slots of a night before and after midnight."""
CALM_SLOTS = 18
"""Three hours: length of the site's own minimum window."""
NIGHTS = (1, 2, 4, 8, 14)
"""Nights that are looked at together."""
BASELINE = 28
LATELY = 8
"""Nights just before that must be lower, too: what has lasted is usual."""
LEAST_RISE = 2.5
"""No rise of fewer spreads is called one."""
STILL = 0.5
"""Part of a rise that the last night must show."""
ENOUGH = 4
"""Nights that a baseline needs."""
KEPT = max(NIGHTS) + BASELINE


def night_of(evening: Floats | None, morning: Floats) -> Floats:
    """(42,) ten-minute means 22:00–05:00 from the (144,) of two days."""
    before = np.full(EVENING, np.nan) if evening is None else evening[-EVENING:]
    return np.concatenate([before, morning[:MORNING]])


def night_flow(night: Floats, first: int) -> float:
    """Night minimum flow in m³/h: mean of the calmer half of the calm hours; NaN with less than half of them known."""
    calm = np.sort(night[first : first + CALM_SLOTS])
    known = calm[~np.isnan(calm)]
    return float(known[: (len(known) + 1) // 2].mean()) if 2 * len(known) >= CALM_SLOTS else math.nan


def calm_hours(nights: Floats) -> int:
    """Slot (of 42) at which the three hours with the lowest flow begin, from (n, 42) nights."""
    usual = np.nan_to_num(median(nights), nan=np.inf)
    sums = [usual[first : first + CALM_SLOTS].sum() for first in range(EVENING + MORNING - CALM_SLOTS + 1)]
    return int(np.argmin(sums))


def rises(flows: Floats, clean: Mask) -> Floats:
    """(len(NIGHTS),) how far the last nights are above the weeks before them, m³/h; NaN where unknown.

    What the last night shows less than half of is over, and no rise of it.
    flows: night minimum flows by day, weekends made like other nights, oldest first; clean: which make a baseline.
    """
    found = np.full(len(NIGHTS), np.nan)
    for place, count in enumerate(NIGHTS):
        latest, before = flows[-count:], flows[-count - BASELINE : -count]
        base = _base(before, clean[-count - BASELINE : -count])
        if len(base) >= max(ENOUGH, count // 2) and 2 * np.count_nonzero(~np.isnan(latest)) > count:
            lately = flows[-count - LATELY : -count]
            lately = lately[~np.isnan(lately)]
            level = max(np.median(base), np.median(lately)) if len(lately) else np.median(base)
            rise = np.nanmean(latest) - level
            found[place] = rise if math.isnan(flows[-1]) else min(rise, (flows[-1] - level) / STILL)
    return found


def _base(before: Floats, clean: Mask) -> Floats:
    """Known nights of a baseline, without disturbed ones unless hardly any other is left."""
    known = ~np.isnan(before)
    base: Floats = before[known & clean] if 2 * np.count_nonzero(known & clean) >= known.sum() else before[known]
    return base


def _weekend(flows: Floats, clean: Mask, weekdays: Ints) -> Floats:
    """What nights into Saturday and Sunday have more than others, m³/h."""
    added = np.zeros(len(flows))
    usual = flows[clean & (weekdays < 5) & ~np.isnan(flows)]
    for day in (5, 6):
        own = flows[clean & (weekdays == day) & ~np.isnan(flows)]
        if len(own) >= 3 and len(usual) >= 5:
            added[weekdays == day] = np.median(own) - np.median(usual)
    return added


def learn(past: Past, per_day: float) -> Learned | None:
    """Calm hours, spread and limit of each number of nights; None before enough nights are known."""
    table = np.array([night_of(_evening(past, place), past.tens[place]) for place in range(len(past.tens))])
    if len(table) <= ENOUGH:
        return None
    first = calm_hours(table[past.calm] if past.calm.any() else table)
    flows = np.array([night_flow(night, first) for night in table])
    weekdays = (past.numbers - 1) % 7
    free = flows - _weekend(flows, past.calm, weekdays)
    history = [_upto(free, past.clean, stop) for stop in range(1, len(flows) + 1)]
    ends = np.array(history)
    limits = {"calm_from": float(first)}
    floor = 0.01 * abs(float(np.nanmedian(flows))) if (~np.isnan(flows)).any() else 0.0
    parts = []
    for count, column in zip(NIGHTS, ends.T, strict=True):
        known = column[past.calm & ~np.isnan(column)]
        if len(known) >= ENOUGH and (spread := max(float(np.median(np.abs(known))) * 1.4826, floor)):
            far = max(limit_for(_censored(column, past), per_day / len(NIGHTS)), LEAST_RISE * spread)
            limits[f"rise_{count}"] = float(f"{far:.6g}")
            parts.append(column / far)
    if not parts:
        return None
    together = np.nan_to_num(np.array(parts), nan=-np.inf).max(axis=0)
    together[np.isinf(together)] = np.nan
    limits["limit"] = float(f"{max(limit_for(_censored(together, past), per_day), LOWEST):.6g}")
    return Learned(limits, {})


def _censored(column: Floats, past: Past) -> Floats:
    return np.where(past.calm | np.isnan(column), column, np.inf)


def _evening(past: Past, place: int) -> Floats | None:
    follows = place > 0 and past.numbers[place - 1] == past.numbers[place] - 1
    return past.tens[place - 1] if follows else None


def _upto(flows: Floats, clean: Mask, stop: int) -> Floats:
    since = max(0, stop - KEPT)
    return rises(flows[since:stop], clean[since:stop])


class Night:
    """Running side, of flow rate."""

    def __init__(self, learned: Learned | None) -> None:
        limits = learned.limits if learned else {}
        self.first = int(limits.get("calm_from", 0))
        self._limits = [limits.get(f"rise_{count}", math.inf) for count in NIGHTS]
        self._limit = limits.get("limit", 1.0)
        self._learned = learned is not None
        self.standing = NOT_EVALUATED
        self.rise = 0.0
        """m³/h above the weeks before, of the most telling number of nights."""
        self.flow = math.nan
        self.opened: tuple[float, float] | None = None
        """Level before and rise, m³/h, when the open alarm began."""

    def hold(self) -> None:
        """Keeps the level of before, for as long as an alarm is open."""
        self.opened = self.flow - self.rise, self.rise

    def goes_on(self) -> bool:
        """Whether the last night is still nearer to what opened an alarm than to the level before it."""
        if self.opened is None or math.isnan(self.flow):
            return self.opened is not None
        level, rise = self.opened
        return self.flow - level >= STILL * rise

    def close_night(self, days: list[Day], morning: Floats, number: int, disturbed: set[int]) -> None:
        """Judges the night that ended on day `number` with this (144,) morning; days: the closed ones before it."""
        self.standing = NOT_EVALUATED
        if not self._learned:
            return
        numbers = np.array([*(day.number for day in days), number])
        tens = [*(day.tens[0] for day in days), morning]
        nights = [
            night_of(tens[place - 1] if place and numbers[place - 1] == numbers[place] - 1 else None, tens[place])
            for place in range(len(tens))
        ]
        flows = np.array([night_flow(night, self.first) for night in nights])
        clean = ~np.isin(numbers, list(disturbed))
        found = rises(flows - _weekend(flows, clean, (numbers - 1) % 7), clean)
        self.flow = float(flows[-1])
        parts = [rise / limit for rise, limit in zip(found, self._limits, strict=True) if rise == rise]
        if parts and not math.isnan(self.flow):
            place = int(np.nanargmax(np.nan_to_num(found / np.array(self._limits), nan=-np.inf)))
            self.rise = float(found[place])
            score = round(max(parts), 2)
            self.standing = Check(1 if score >= self._limit else 0, score, self._limit)

    def check(self, minute: int, value: float | None) -> Check:
        """The Check at a minute of the day: that of the newest complete night, within 22:00–05:00."""
        if value is None or END <= minute < BEGIN:
            return NOT_EVALUATED
        return self.standing
