"""value (실측값): the reading against what is usual at this minute, over 10 minutes to 12 hours, and single spikes.

Flow up with pressure down together is a burst even where each alone would pass: a linear discriminant on the two
standings (Fisher, 1936), with their correlation on clean days.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from services.detector.memory import Past
from services.detector.methods import spikes
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
    levels,
    moving_means,
    rounded,
    standings,
)
from services.detector.tail import limit_for
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

PARTS = {10: 0.1, 30: 0.15, 60: 0.2, 180: 0.25, 720: 0.3}
"""Minutes of the windows, for a large burst and ever smaller ones; and the part of the false alarms of each."""
WINDOWS = tuple(PARTS)
HOUR = 60
HOUR_PLACE = WINDOWS.index(HOUR)
STILL = 0.5
"""Spreads that the last hour must be off, for what a longer window shows to last; and part of what opened an alarm."""
FULL = 0.6
"""Part of an excess, in the channel's unit, that is the same one."""
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
    found = _alarming(standings(past.residuals, days.calm, WINDOWS))
    rates = (per_day, per_day * DOWN_SHARE) if rising else (per_day * DOWN_SHARE, per_day)
    limits = learn_sides(found, days, *rates, PARTS)
    together = farthest(found, limits)
    if partner is not None and (other := _partner(partner)) is not None:
        for window in WINDOWS:
            joint, slope = _joint(found, other, window)
            limit = max(limit_for(daily_maxima(joint, days), per_day * PARTS[window]), LEAST)
            limits |= {f"joint_{window}": rounded(limit), f"together_{window}": slope}
            together = np.maximum(together, joint / limits[f"joint_{window}"])
    limit = max(limit_for(daily_maxima(together, days), per_day), LOWEST) * caution(int(days.calm.sum()))
    limits["limit"] = rounded(limit)
    spikes_learned = spikes.learn(past.residuals, days, *(SPIKES * rate for rate in rates))
    return Learned(limits | spikes_learned.limits, found.learned | spikes_learned.profiles)


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
        mean = moving_means(found.filled, min(window, HOUR))
        level = np.tensordot(np.array(found.learned[f"level_{window}"]), levels(found.filled, window), 1)
        size = sign * (mean - level)
        still = sign * hour >= STILL if window > HOUR else True
        kept[window] = np.where((size > spread) & (sign * mean >= AGAINST * size) & still, far, 0.0)
    return Standings(found.learned, kept, found.filled)


def _partner(past: Past) -> Standings | None:
    days = days_of(past, past.residuals)
    return standings(past.residuals, days.calm, WINDOWS) if days else None


def _joint(flow: Standings, pressure: Standings, window: int) -> tuple[Floats, float]:
    """(n, 1440) how far flow is up and pressure down at once, in its own spread; and 1 / that spread."""
    up, down = flow.by_window[window], -pressure.by_window[window]
    both = (up > 1.0) & (down > 1.0)
    usual = (np.abs(up) < 4.0) & (np.abs(down) < 4.0) & (up != 0.0) & (down != 0.0)
    related = float(np.corrcoef(up[usual], down[usual])[0, 1]) if usual.sum() > 100 else 0.0
    slope = rounded(1.0 / math.sqrt(2.0 + 2.0 * min(max(related, -0.5), 0.95)))
    return np.where(both, (up + down) * slope, 0.0), slope


@dataclass(frozen=True)
class Rise:
    """What an open alarm began with, in parts of what is usual."""

    level: float
    """Expected without it."""
    size: float
    excess: float
    """In the channel's unit."""


class Value:
    """Running side, of one channel. Flow rate has pressure as its partner, which takes the minute first."""

    def __init__(self, learned: Learned | None, partner: Value | None = None) -> None:
        self.scales, self.spikes = Scales(WINDOWS, learned), Spikes(learned)
        self.usual: list[float] = []
        self.residual = math.nan
        self._recent: deque[float] = deque(maxlen=HOUR)
        """Residuals of the last hour, none of them cut."""
        self.joint = self.spiked = False
        """What of it is beyond its limit: flow and pressure together; the minute before alone."""
        self.held: Rise | None = None
        """What an open alarm began with."""
        self.risen = False
        """Whether what is beyond a limit is so now, not only in a window that looks back."""
        self.partner = partner
        self._hour = 0
        self._scale = learned.profiles["scale"] if learned else (1.0,) * 24
        self._spread = learned.profiles[f"spread_{HOUR}"] if learned else (0.0,) * 24
        self._rows = _joint_rows(learned) if partner and partner.scales.ready() else []

    def take_over(self, before: Value) -> Value:
        """Goes on with what began under older criteria: an open alarm."""
        part = sum(before._scale) / sum(self._scale)
        held = before.held
        self.held = held and replace(held, level=held.level * part, size=held.size * part)
        return self

    def open_day(self, usual: list[float], past: list[float]) -> None:
        """Begins a day with what is expected of its 1440 minutes, and residuals of days before."""
        self.usual = usual
        self._recent = deque((residual for residual in past[-HOUR:] if residual == residual), maxlen=HOUR)
        self.scales.open_day(past)
        self.spikes.open_day(past)

    def skip(self, minutes: int) -> None:
        """Passes minutes without a value."""
        self.scales.skip(minutes)
        self.spikes.skip()
        self.risen = False

    def check(self, minute: int, value: float | None) -> Check:
        """The Check of a value at a minute of the day."""
        scales = self.scales
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
        if self._rows:
            self._look_jointly()
        self.risen = scales.score >= scales.limit and self._lasts()
        standing_out = self.spikes.take(residual, hour)
        self.spiked = standing_out >= 1.0
        if self.spiked:
            scales.score = max(scales.score, standing_out * scales.limit)
        return scales.check()

    def _look_jointly(self) -> None:
        scales, partner = self.scales, self.partner
        if partner is None or partner.residual != partner.residual:
            return
        pressure = partner.scales.standing
        for place, weight in self._rows:
            flow = scales.standing[place]
            if flow > 1.0 and pressure[place] < -1.0 and (flow - pressure[place]) * weight > scales.score:
                scales.score = (flow - pressure[place]) * weight
                scales.place, scales.up, self.joint = place, True, True

    def _lasts(self) -> bool:
        """Whether a window beyond its limit shows something that is so now; points to the longest that does.

        A long window looks back on what is over, and the end of what lifted the level before is nothing new.
        """
        if self.joint:
            return self._is_so_now()
        return any(self._is_so_now() for _ in self.scales.beyond())

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
        size = self.scales.mean(min(self.scales.window, HOUR)) - level
        self.held = Rise(level, size, size * self._scale[self._hour])

    def since(self) -> int:
        """Minutes ago that what is told of began, as far as can be told."""
        return self.scales.window - 1

    def goes_on(self) -> bool:
        """Whether the last hour is still nearer to what opened an alarm than to the level before it."""
        held = self.held
        return held is not None and held.size != 0.0 and (self.scales.mean(HOUR) - held.level) / held.size >= STILL

    def in_full(self) -> bool:
        """Whether what opened an alarm is still there in m³/h: more demand is less at night, a broken main is not."""
        held = self.held
        if held is None or held.excess <= 0.0:
            return False
        return (self.scales.mean(HOUR) - held.level) * self._scale[self._hour] >= FULL * held.excess

    def excess(self) -> float:
        """How far the median minute of an hour, or of a shorter farthest window, is above the level before.

        In the channel's unit; unlike means it needs no minutes cut, so a large loss is told in full.
        """
        level = self.held.level if self.held else self.scales.level()
        latest = list(self._recent)[-self.scales.window :]
        return (statistics.median(latest) if latest else 0.0) - level * self._scale[self._hour]

    def doubt(self) -> float:
        """Half the width of the interval that holds the excess in nine of ten cases, in the channel's unit."""
        return 1.645 * self._spread[self._hour] * self._scale[self._hour]


def _joint_rows(learned: Learned | None) -> list[tuple[int, float]]:
    """(place of the window, slope / limit) of the windows that are looked at jointly."""
    limits = learned.limits if learned else {}
    return [
        (place, limits[f"together_{window}"] / limits[f"joint_{window}"])
        for place, window in enumerate(WINDOWS)
        if f"joint_{window}" in limits
    ]
