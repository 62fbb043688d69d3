"""value (실측값): the reading against what is usual at this minute, over 10 minutes to 12 hours, and single spikes.

Flow that is up while pressure is not what it is at such a flow (methods/head.py) tells of a burst even where each alone
would pass: both standings as the sides of a right angle (Hotelling, 1931).
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from services.detector.memory import MINUTES, Day, Past
from services.detector.methods import head, spikes
from services.detector.methods.head import Head
from services.detector.methods.scales import Scales
from services.detector.methods.spikes import Spikes
from services.detector.methods.spreads import (
    LEAST,
    LOWEST,
    Learned,
    Standings,
    caution,
    daily_maxima,
    days_of,
    farthest,
    learn_sides,
    rounded,
    standings,
)
from services.detector.tail import limit_for
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

PARTS = {10: 0.1, 30: 0.2, 60: 0.25, 180: 0.25, 720: 0.2}
"""Minutes of the windows, for a large burst and ever smaller ones; and the part of the false alarms of each."""
WINDOWS = tuple(PARTS)
HOUR = 60
HOUR_PLACE = WINDOWS.index(HOUR)
STILL = 0.5
"""Spreads that the last hour must be off, for what a longer window shows to last; and part of what opened an alarm."""
FULL = 0.6
"""Part of an excess, in the channel's unit, that is the same one."""
RISEN, APART = 0.5, 1.0
"""Spreads that flow must be up at least, and pressure off what it is at that flow, to count together."""
AGAINST = 0.3
"""Part of a step that must also be one against the usual day: the end of an excess is none."""
SPIKES = 0.04
"""Part of the false alarms that single minutes may raise beside: a spike is the meter's, not the water's."""
SIDES = ("up_", "down_", "joint_")
"""What the limits of windows are called; they hold in parts of `limit`."""
DOWN_SHARE = 0.01
"""Share of the false alarms that goes to the side which is no burst (flow down, pressure up)."""


def learn(past: Past, partner: Past | None, per_day: float, rising: bool) -> Learned | None:
    """Spreads and limits for false alarms per day; None when nothing varied or nothing was expected yet.

    partner is pressure when this is flow rate, else None; rising says that up is the dangerous side.
    """
    days = days_of(past, past.residuals)
    if days is None:
        return None
    found_all = standings(past.residuals, days.calm, WINDOWS)
    found = _alarming(found_all)
    rates = (per_day, per_day * DOWN_SHARE) if rising else (per_day * DOWN_SHARE, per_day)
    limits = learn_sides(found, days, *rates, PARTS)
    together = farthest(found, limits)
    profiles = dict(found_all.learned)
    if partner is not None and (related := head.learn(past, partner, days.calm, WINDOWS)) is not None:
        apart, curves = related
        profiles |= curves
        for window in WINDOWS:
            most = head.steepness(curves, past.usual, window) * np.repeat(np.array(head.reach(profiles, window)), 60)
            joint = _joint(found_all, apart, window, most)
            limit = max(limit_for(daily_maxima(joint, days), per_day * PARTS[window]), LEAST)
            limits[f"joint_{window}"] = rounded(limit)
            together = np.maximum(together, joint / limits[f"joint_{window}"])
    limit = max(limit_for(daily_maxima(together, days), per_day), LOWEST) * caution(int(days.calm.sum()))
    limits["limit"] = rounded(limit)
    spikes_learned = spikes.learn(past.residuals, days, *(SPIKES * rate for rate in rates))
    return Learned(limits | spikes_learned.limits, profiles | spikes_learned.profiles)


def narrower(recent: Learned | None, long: Learned | None) -> Learned | None:
    """What was learned of the last months, with the limits of a longer time where these are narrower.

    What nobody noticed lifts the limits that are learned from it; it is seldom in both.
    """
    if recent is None or long is None:
        return recent
    part = long.limits["limit"] / recent.limits["limit"]
    limits = {
        key: rounded(min(limit, long.limits.get(key, math.inf) * part)) if key.startswith(SIDES) else limit
        for key, limit in recent.limits.items()
    }
    return Learned(limits, recent.profiles)


def _alarming(found: Standings) -> Standings:
    """Only what `Value.risen` would let open an alarm: limits are set for false alarms, not for minutes beyond them."""
    hour = found.by_window[HOUR]
    spread = np.repeat(np.array(found.learned[f"spread_{HOUR}"]), 60)
    kept = {}
    for window, far in found.by_window.items():
        sign = np.sign(far)
        mean = found.moving.means(min(window, HOUR))
        size = sign * (mean - found.expected[window])
        still = sign * hour >= STILL if window > HOUR else True
        kept[window] = np.where((size > spread) & (sign * mean >= AGAINST * size) & still, far, 0.0)
    return replace(found, by_window=kept)


def _joint(flow: Standings, apart: Standings, window: int, most: Floats) -> Floats:
    """(n, 1440) how far flow is up and pressure off what it is at that flow, at once, in spreads.

    most: spreads that pressure may be off for each that flow is up.
    """
    up, off = flow.by_window[window], apart.by_window[window]
    still = np.sign(off) * apart.by_window[HOUR] >= STILL if window > HOUR else True
    both = (up > RISEN) & (np.abs(off) > APART) & (np.abs(off) < most * up)
    return np.where(both & still, np.hypot(up, off), 0.0)


@dataclass(frozen=True)
class Rise:
    """What an open alarm began with, in parts of what is usual."""

    level: float
    """Expected without it."""
    size: float
    excess: float
    """In the channel's unit."""


class Value:
    """Running side, of one channel. Flow rate has pressure as its partner, which sees the minute first."""

    def __init__(self, learned: Learned | None, partner: Value | None = None) -> None:
        self.scales, self.spikes = Scales(WINDOWS, learned), Spikes(learned)
        self.usual: list[float] = []
        self.residual = math.nan
        self.seen = math.nan
        """The minute's value; NaN when there is none."""
        self._recent: deque[float] = deque(maxlen=HOUR)
        """Residuals of the last hour, none of them cut."""
        self.joint = self.spiked = False
        """What is farthest, or beyond its limit: flow and pressure together; the minute before alone."""
        self.held: Rise | None = None
        """What an open alarm began with."""
        self.risen = False
        """Whether what is beyond a limit is so now, not only in a window that looks back."""
        self.partner = partner
        self._hour = 0
        self._scale = learned.profiles["scale"] if learned else (1.0,) * 24
        self._spread = learned.profiles[f"spread_{HOUR}"] if learned else (0.0,) * 24
        self.head = Head(WINDOWS, learned) if learned and partner and "head_fit" in learned.profiles else None
        self._limits = [learned.limits[f"joint_{window}"] for window in WINDOWS] if learned and self.head else []

    def take_over(self, before: Value) -> Value:
        """Goes on with what began under older criteria: an open alarm."""
        part = sum(before._scale) / sum(self._scale)
        held = before.held
        self.held = held and replace(held, level=held.level * part, size=held.size * part)
        return self

    def open_day(self, usual: list[float], past: Floats) -> None:
        """Begins a day with what is expected of its 1440 minutes, and residuals of days before."""
        self.usual = usual
        self._recent = deque((residual for residual in past[-HOUR:].tolist() if residual == residual), maxlen=HOUR)
        self.scales.open_day(past)
        self.spikes.open_day(past[-2:].tolist())

    def open_head(self, number: int, week: list[Day]) -> None:
        """Begins a day, after `open_day`, with the days of the week before it."""
        if self.head:
            self.head.open_day(number, week, np.array(self.usual or [math.nan] * MINUTES))

    def skip(self, minutes: int) -> None:
        """Passes minutes without a value."""
        self.scales.skip(minutes)
        if self.head:
            self.head.scales.skip(minutes)
        self.spikes.skip()
        self.risen = False

    def check(self, minute: int, value: float | None) -> Check:
        """The Check of a value at a minute of the day."""
        scales = self.scales
        self.seen = math.nan if value is None else value
        if value is None or not self.usual or (usual := self.usual[minute]) != usual:
            self.residual = math.nan
            self.skip(1)
            return NOT_EVALUATED
        self.residual = residual = value - usual
        self._recent.append(residual)
        self._hour = hour = minute // 60
        if not scales.limit:
            scales.sums.append(scales.sums[-1] + residual)
            self.risen = False
            return NOT_EVALUATED
        scales.take(residual, hour)
        self.joint = False
        if self.head and self.partner and self.head.take(minute, value, self.partner.seen):
            self._look_jointly(self.head, self.partner.risen)
        self.risen = scales.score >= scales.limit and self._lasts()
        standing_out = self.spikes.take(residual, hour)
        self.spiked = standing_out >= 1.0
        if self.spiked:
            scales.score = max(scales.score, standing_out * scales.limit)
        return scales.check()

    def _look_jointly(self, head: Head, pressure_risen: bool) -> None:
        """Takes flow and pressure together; not while pressure has moved by more than this flow can do."""
        scales = self.scales
        if pressure_risen and head.moved_alone(scales.standing):
            return
        for place, (up, limit) in enumerate(zip(scales.standing, self._limits, strict=True)):
            if up > RISEN and (off := head.apart(place, up)) > APART and math.hypot(up, off) > scales.score * limit:
                scales.score = math.hypot(up, off) / limit
                scales.place, scales.up, self.joint = place, True, True

    def _lasts(self) -> bool:
        """Whether a window beyond its limit shows something that is so now; points to the longest that does.

        A long window looks back on what is over, and the end of what lifted the level before is nothing new.
        """
        self.joint = self.joint and self._is_apart_now()
        return self.joint or any(self._is_so_now() for _ in self.scales.beyond())

    def _is_apart_now(self) -> bool:
        if self.head is None or self.scales.window <= HOUR:
            return self.head is not None
        apart = self.head.scales.far
        return math.copysign(1.0, apart(self.scales.place)) * apart(HOUR_PLACE) >= STILL

    def _is_so_now(self) -> bool:
        scales = self.scales
        sign = 1.0 if scales.up else -1.0
        mean = sign * scales.mean(min(scales.window, HOUR))
        size = mean - sign * scales.level()
        still = scales.window <= HOUR or sign * scales.standing[HOUR_PLACE] >= STILL
        return size > self._spread[self._hour] and mean >= AGAINST * size and still

    def hold(self) -> None:
        """Keeps the level of before, for as long as an alarm is open."""
        level = self.scales.level()
        size = self._mean() - level
        self.held = Rise(level, size, size * self._scale[self._hour])

    def since(self) -> int:
        """Minutes ago that what is told of began, as far as can be told."""
        return self.scales.window - 1

    def goes_on(self) -> bool:
        """Whether the last hour is nearer to what opened an alarm than to the level before it, and not as usual."""
        held = self.held
        if held is None or held.size == 0.0:
            return False
        mean = self.scales.mean(HOUR)
        return (mean - held.level) / held.size >= STILL and mean / held.size >= STILL * AGAINST

    def in_full(self) -> bool:
        """Whether what opened an alarm is still there in m³/h: more demand is less at night, a broken main is not."""
        held = self.held
        if held is None or held.excess <= 0.0:
            return False
        return (self.scales.mean(HOUR) - held.level) * self._scale[self._hour] >= FULL * held.excess

    def _mean(self) -> float:
        """Of the last hour, of a shorter farthest window, or of a longer one that shows flow and pressure together."""
        window = self.scales.window
        return self.scales.mean(window if self.joint else min(window, HOUR))

    def excess(self) -> float:
        """How far it is above the level before, in the channel's unit.

        The median minute of an hour: unlike means it needs no minutes cut, so a large loss is told in full. The mean
        where that is more than twice as far: a meter that counts pulses shows little in most minutes.
        """
        scale, latest = self._scale[self._hour], list(self._recent)[-self.scales.window :]
        level = self.held.level if self.held else self.scales.level()
        middle = (statistics.median(latest) if latest else 0.0) - level * scale
        mean = (self._mean() - level) * scale
        return middle if middle * mean >= mean * mean / 2 else mean

    def doubt(self) -> float:
        """Half the width of the interval that holds the excess in nine of ten cases, in the channel's unit."""
        return 1.645 * self._spread[self._hour] * self._scale[self._hour]
