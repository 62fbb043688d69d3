"""value (실측값): the reading against what is usual at this minute, over 1 minute to 12 hours.

Flow up with pressure down together is a burst even where each alone would pass: a linear discriminant on the two
standings (Fisher, 1936), with their correlation on clean days.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.memory import Past
from services.detector.methods.scales import Scales
from services.detector.methods.spreads import (
    LEAST,
    LOWEST,
    Learned,
    Standings,
    daily_maxima,
    days_of,
    farthest,
    learn_sides,
    standings,
)
from services.detector.tail import limit_for
from services.detector.usual import unrest_of
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

WINDOWS = (1, 15, 60, 180, 720)
"""Minutes: a spike, a large burst, and ever smaller ones."""
HOUR_PLACE = WINDOWS.index(60)
STILL = 0.5
"""Spreads that the last hour must be off, for what a longer window shows to last."""
JOINT_FROM = 15
WIDEST = 3.0
"""Spreads follow a season's unrest up to this many times what was learned."""
DOWN_SHARE = 0.3
"""Share of the false alarms that goes to the side which is no burst (flow down, pressure up)."""


def learn(past: Past, partner: Past | None, per_day: float, rising: bool) -> Learned | None:
    """Spreads and limits for false alarms per day; None when nothing varied or nothing was expected yet.

    partner is pressure when this is flow rate, else None; rising says that up is the dangerous side.
    """
    days = days_of(past, past.residuals)
    if days is None:
        return None
    found = standings(past.residuals, days.calm, WINDOWS)
    rates = (per_day, per_day * DOWN_SHARE) if rising else (per_day * DOWN_SHARE, per_day)
    limits = learn_sides(found, days, *rates)
    together = farthest(found, limits)
    if partner is not None and (other := _partner(partner)) is not None:
        for window in (window for window in WINDOWS if window >= JOINT_FROM):
            joint, slope = _joint(found, other, window)
            limit = max(limit_for(daily_maxima(joint, days), per_day / (len(WINDOWS) - 1)), LEAST)
            limits |= {f"joint_{window}": float(f"{limit:.6g}"), f"together_{window}": slope}
            together = np.maximum(together, joint / limits[f"joint_{window}"])
    limits["unrest"] = float(f"{np.median(unrest_of(past.tens[days.calm], past.usual[days.calm])):.6g}")
    limits["limit"] = float(f"{max(limit_for(daily_maxima(together, days), per_day), LOWEST):.6g}")
    return Learned(limits, found.learned)


def _partner(past: Past) -> Standings | None:
    days = days_of(past, past.residuals)
    return standings(past.residuals, days.calm, WINDOWS) if days else None


def _joint(flow: Standings, pressure: Standings, window: int) -> tuple[Floats, float]:
    """(n, 1440) how far flow is up and pressure down at once, in its own spread; and 1 / that spread."""
    up, down = flow.by_window[window], -pressure.by_window[window]
    both = (up > 1.0) & (down > 1.0)
    usual = (np.abs(up) < 4.0) & (np.abs(down) < 4.0) & (up != 0.0) & (down != 0.0)
    related = float(np.corrcoef(up[usual], down[usual])[0, 1]) if usual.sum() > 100 else 0.0
    slope = float(f"{1.0 / math.sqrt(2.0 + 2.0 * min(max(related, -0.5), 0.95)):.6g}")
    return np.where(both, (up + down) * slope, 0.0), slope


class Value:
    """Running side, of one channel. Flow rate has pressure as its partner, which takes the minute first."""

    def __init__(self, learned: Learned | None, partner: Value | None = None) -> None:
        self.scales = Scales(WINDOWS, learned)
        self.usual: list[float] = []
        self.residual = math.nan
        self.joint = False
        self.partner = partner
        self._unrest = learned.limits["unrest"] if learned else 0.0
        self._rows = _joint_rows(learned) if partner and partner.scales.ready() else []

    def open_day(self, usual: list[float], yesterday: list[float], unrest: float) -> None:
        """Begins a day with what is expected of its 1440 minutes, yesterday's residuals, and recent unrest."""
        self.usual = usual
        wider = unrest / self._unrest if self._unrest and unrest == unrest else 1.0
        self.scales.open_day(yesterday, min(max(wider, 1.0), WIDEST))

    def check(self, minute: int, value: float | None) -> Check:
        """The Check of a value at a minute of the day."""
        scales = self.scales
        if value is None or not self.usual or (usual := self.usual[minute]) != usual:
            self.residual = math.nan
            scales.skip(1)
            return NOT_EVALUATED
        self.residual = residual = value - usual
        if not scales.limit:
            scales.sums.append(scales.sums[-1] + residual)
            return NOT_EVALUATED
        scales.take(residual, minute // 60)
        self.joint = False
        if self._rows:
            self._look_jointly()
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
                scales.window, scales.up, self.joint = WINDOWS[place], True, True

    def lasts(self) -> bool:
        """Whether what the farthest window shows is still so: a long window looks back on what is over."""
        scales = self.scales
        last_hour = scales.standing[HOUR_PLACE]
        return scales.window <= 60 or (last_hour if scales.up else -last_hour) >= STILL

    def excess(self) -> float:
        """Mean residual now, over at most an hour of the window that is farthest, in the channel's unit."""
        window = min(self.scales.window, 60)
        return self.residual if window == 1 else (self.scales.sums[-1] - self.scales.sums[-1 - window]) / window


def _joint_rows(learned: Learned | None) -> list[tuple[int, float]]:
    """(place of the window, slope / limit) of the windows that are looked at jointly."""
    limits = learned.limits if learned else {}
    return [
        (place, limits[f"together_{window}"] / limits[f"joint_{window}"])
        for place, window in enumerate(WINDOWS)
        if f"joint_{window}" in limits
    ]
