"""Spikes: prominence of a single minute over both neighbours, evaluated one minute later.

Flow and pressure change over minutes, so a single deviating minute comes from the meter or the line. Each hour of the
day has its own standard deviation, from reference days, so that a coarse or noisy meter is judged by its own steps.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.methods.standardise import (
    MIN_SCORE,
    DayMask,
    Parameters,
    daily_maxima,
    robust_std_by_hour,
    round_significant,
)
from services.detector.threshold import threshold_for_rate
from shared.domain.series import Floats

MIN_INCREMENT_STD = 1e-6
"""In the channel's unit; the increments of a slow meter are 0 in most minutes."""
RESOLUTION_MARGIN = 1.4
"""Margin on the limit, so that the next larger step of a coarse meter is no spike."""


def fit(residuals: Floats, days: DayMask, up: float, down: float) -> Parameters:
    """Fit standard deviations by hour and the limit of each side, for false alarms per day; residuals: (n, 1440)."""
    peaks = prominences(residuals)
    increments = robust_std_by_hour(
        np.diff(residuals.ravel(), prepend=np.nan).reshape(residuals.shape), days.reference, MIN_INCREMENT_STD
    )
    std = np.array([round_significant(float(value)) for value in increments])
    scores = peaks / np.repeat(std, 60)
    limits = {
        f"spike_{side}": round_significant(
            RESOLUTION_MARGIN * max(threshold_for_rate(daily_maxima(sign * scores, days), rate), MIN_SCORE)
        )
        for side, sign, rate in (("up", 1, up), ("down", -1, down))
    }
    return Parameters(limits, {"increment": tuple(std.tolist())})


def prominences(residuals: Floats) -> Floats:
    """Return the prominence of the minute before each one of (n, 1440) consecutive days; 0 where it is no peak."""
    flat = residuals.ravel()
    rise, fall = flat[1:-1] - flat[:-2], flat[1:-1] - flat[2:]
    prominence = np.zeros(len(flat))
    prominence[2:] = np.where(rise * fall > 0, np.sign(rise) * np.minimum(np.abs(rise), np.abs(fall)), 0.0)
    return prominence.reshape(residuals.shape)


class SpikeDetector:
    """Running spike detection of one channel."""

    def __init__(self, parameters: Parameters | None) -> None:
        self._inverse_limits: list[tuple[float, float]] = []
        """1 / limit up and down by hour, in the channel's unit."""
        if parameters:
            up, down = parameters.limits["spike_up"], parameters.limits["spike_down"]
            self._inverse_limits = [(1.0 / (up * std), 1.0 / (down * std)) for std in parameters.profiles["increment"]]
        self._rise = self._last = math.nan
        self.prominence = 0.0
        """Prominence of the minute before, in the channel's unit."""

    def start_day(self, residuals: list[float]) -> None:
        """Start a day after the last two residuals, NaN where there was none."""
        before, self._last = residuals
        self._rise = self._last - before

    def skip(self) -> None:
        """Skip minutes without a value."""
        self._last = math.nan

    def update(self, residual: float, hour: int) -> float:
        """Process a residual; return the prominence of the minute before, relative to its limit, or 0."""
        fall, rise = self._last - residual, self._rise
        self._last, self._rise = residual, -fall
        if rise > 0.0 < fall:
            self.prominence = min(fall, rise)
            return self.prominence * self._inverse_limits[hour][0]
        if rise < 0.0 > fall:
            self.prominence = max(rise, fall)
            return -self.prominence * self._inverse_limits[hour][1]
        return 0.0
