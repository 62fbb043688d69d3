"""Spikes: how far a single minute stands out from both its neighbours, told a minute later.

Water comes and goes over minutes; what is there in one alone is the meter's or the line's. Each hour of the day has
its own spread, from clean days, so that a coarse or noisy meter is judged by its own increments.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.methods.spreads import LEAST, Days, Learned, daily_maxima, rounded, spread_by_hour
from services.detector.tail import limit_for
from shared.domain.series import Floats

MARGIN = 1.4
"""A coarse meter's next step, one beyond the farthest that it has shown, is no spike yet."""


def learn(residuals: Floats, days: Days, up: float, down: float) -> Learned:
    """Spread by hour and limit of each side, from (n, 1440) residuals, for false-alarm rates per day."""
    peaks = prominences(residuals)
    increments = spread_by_hour(np.diff(residuals.ravel(), prepend=np.nan).reshape(residuals.shape), days.calm, np.nan)
    spread = np.array([rounded(float(one)) for one in increments])
    far = peaks / np.repeat(spread, 60)
    limits = {
        f"spike_{side}": rounded(MARGIN * max(limit_for(daily_maxima(sign * far, days), rate), LEAST))
        for side, sign, rate in (("up", 1, up), ("down", -1, down))
    }
    return Learned(limits, {"increment": tuple(spread.tolist())})


def prominences(residuals: Floats) -> Floats:
    """How far the minute before each of (n, 1440) days in a row stands out from both its neighbours; else 0."""
    flat = residuals.ravel()
    rise, fall = flat[1:-1] - flat[:-2], flat[1:-1] - flat[2:]
    found = np.zeros(len(flat))
    found[2:] = np.where(rise * fall > 0, np.sign(rise) * np.minimum(np.abs(rise), np.abs(fall)), 0.0)
    return found.reshape(residuals.shape)


class Spikes:
    """Running side, of one channel."""

    def __init__(self, learned: Learned | None) -> None:
        self._rows: list[tuple[float, float]] = []
        """1 / limit up and down of each hour, in the channel's unit."""
        if learned:
            up, down = learned.limits["spike_up"], learned.limits["spike_down"]
            self._rows = [(1.0 / (up * one), 1.0 / (down * one)) for one in learned.profiles["increment"]]
        self._rise = self._last = math.nan
        self.excess = 0.0
        """How far the minute before stood out, in the channel's unit."""

    def open_day(self, past: list[float]) -> None:
        """Begins a day behind the last two residuals, NaN where there was none."""
        before, self._last = past
        self._rise = self._last - before

    def skip(self) -> None:
        """Passes minutes without a value."""
        self._last = math.nan

    def take(self, residual: float, hour: int) -> float:
        """How far the minute before stood out, in parts of the limit; 0 when it didn't."""
        fall, rise = self._last - residual, self._rise
        self._last, self._rise = residual, -fall
        if rise > 0.0 < fall:
            self.excess = min(fall, rise)
            return self.excess * self._rows[hour][0]
        if rise < 0.0 > fall:
            self.excess = max(rise, fall)
            return -self.excess * self._rows[hour][1]
        return 0.0
