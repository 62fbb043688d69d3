"""How far means of several lengths are from what is usual, each against its own spread at that hour of the day.

A window per kind of event, as in the multi-scale (MOSUM) tests for a shift of the mean: Eichinger and Kirch (2018),
doi:10.3150/16-BEJ887. The score is the farthest window in parts of its own limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.detector.memory import Mask
from services.detector.tail import limit_for
from shared.contract.messages import NOT_EVALUATED, Check
from shared.domain.series import Floats

CLIP = 10.0
"""Spreads of a single minute at which it is cut, so that one wild minute is no burst."""
STEP = 0.05
"""Scores are said in these steps."""
LEAST = 3.0
"""No mean is called far within so many spreads."""
ONE_SIDE = 1.2816
"""Standard deviations of the 80 % quantile of absolute normal values."""


@dataclass(frozen=True)
class Learned:
    """Numbers that a method goes by: name to limit, name to curve."""

    limits: dict[str, float]
    profiles: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Standings:
    """Moving means in spreads, each (n, 1440), and what they were made with."""

    learned: dict[str, tuple[float, ...]]
    by_window: dict[int, Floats]


def standings(residuals: Floats, clean: Mask, windows: tuple[int, ...]) -> Standings:
    """Moving means of (n, 1440) residuals in their own spread on clean days; NaN counts as usual."""
    single = spread_by_hour(residuals, clean, np.nan)
    filled = np.nan_to_num(np.clip(residuals, *(sign * CLIP * np.repeat(single, 60) for sign in (-1, 1))))
    curves, found = {"spread_1": _curve(single)}, {}
    for window in windows:
        means = np.nan_to_num(residuals) if window == 1 else moving_means(filled, window)
        spread = single if window == 1 else spread_by_hour(means, clean, float(single.mean()) / window)
        curves[f"spread_{window}"] = _curve(spread)
        found[window] = means / np.repeat(np.array(curves[f"spread_{window}"]), 60)
    return Standings(curves, found)


def moving_means(filled: Floats, window: int) -> Floats:
    """Mean of the last `window` minutes at each minute of (n, 1440) days in a row."""
    sums = np.concatenate([np.zeros(window), np.cumsum(filled.ravel())])
    means: Floats = (sums[window:] - sums[:-window]).reshape(filled.shape) / window
    return means


def spread_by_hour(means: Floats, clean: Mask, floor: float) -> Floats:
    """(24,) robust standard deviation at each hour of the day, from the 80 % quantile; calm hours lean on the rest."""
    hours = np.abs(means[clean]).reshape(-1, 24, 60).transpose(1, 0, 2).reshape(24, -1)
    spread = np.nanquantile(hours, 0.8, axis=1) / ONE_SIDE
    wide = np.stack([np.roll(spread, -1), spread, np.roll(spread, 1)]).max(axis=0)
    spread = np.where(np.isnan(spread), np.nanmax(spread), 0.5 * (spread + wide))
    overall = float(np.sqrt(np.nanmean(np.square(np.clip(hours, 0, 5 * np.nanmax(spread))))))
    return np.maximum(spread, np.nanmax([0.2 * float(np.nanmedian(spread)), 0.05 * overall, floor]))


def daily_maxima(scores: Floats, clean: Mask) -> Floats:
    """Maximum of each clean day; (m,)."""
    maxima: Floats = scores[clean].max(axis=1)
    return maxima


def learn_sides(found: Standings, clean: Mask, up: float, down: float) -> dict[str, float]:
    """Limit of each window and side, for a false-alarm rate per day of each side."""
    limits = {}
    for window, far in found.by_window.items():
        for side, sign, rate in (("up", 1, up), ("down", -1, down)):
            limit = limit_for(daily_maxima(sign * far, clean), rate / len(found.by_window))
            limits[f"{side}_{window}"] = _round(max(limit, LEAST))
    return limits


def farthest(found: Standings, limits: dict[str, float]) -> Floats:
    """(n, 1440) farthest standing in parts of its limit."""
    sides = [
        np.maximum(far / limits[f"up_{window}"], -far / limits[f"down_{window}"])
        for window, far in found.by_window.items()
    ]
    together: Floats = np.max(sides, axis=0)
    return together


def _curve(values: Floats) -> tuple[float, ...]:
    return tuple(_round(float(value)) for value in values)


def _round(value: float) -> float:
    """Six digits: what is used is what is stored."""
    return float(f"{value:.6g}")


class Scales:
    """Running side of it: takes a residual a minute, gives a Check."""

    def __init__(self, windows: tuple[int, ...], learned: Learned | None) -> None:
        self.windows = windows
        self.sums = [0.0] * (max(windows) + 1)
        self.standing = [0.0] * len(windows)
        self.score = 0.0
        self.window = windows[0]
        self.up = True
        self.limit = learned.limits["limit"] if learned else 0.0
        self._hours = [_hour(windows, learned, hour) for hour in range(24)] if learned else []
        self._clip = [CLIP * spread for spread in learned.profiles["spread_1"]] if learned else []
        self._checks: dict[int, Check] = {}

    def open_day(self, yesterday: list[float]) -> None:
        """Begins a day with the residuals of the one before (NaN or nothing: usual), so that memory stays finite."""
        longest = max(self.windows)
        self.sums = [0.0] * (longest + 1)
        for minute, residual in enumerate(yesterday):
            self.sums.append(self.sums[-1] + (self._cut(residual, minute // 60) if residual == residual else 0.0))

    def skip(self, minutes: int) -> None:
        """Passes minutes without a value."""
        self.sums.extend([self.sums[-1]] * minutes)

    def _cut(self, residual: float, hour: int) -> float:
        if not self._clip:
            return residual
        clip = self._clip[hour]
        return clip if residual > clip else max(residual, -clip)

    def take(self, residual: float, hour: int) -> None:
        """Sets standing, score, window and side for this minute."""
        sums, standing = self.sums, self.standing
        clip = self._clip[hour]
        cut = clip if residual > clip else max(residual, -clip)
        now = sums[-1] + cut
        sums.append(now)
        best, which, place = 0.0, 0, 0
        for back, inverse, up, down in self._hours[hour]:
            far = (residual if back == -2 else now - sums[back]) * inverse
            standing[place] = far
            score = far * up if far > 0.0 else far * down
            if score > best:
                best, which = score, place
            place += 1
        self.score, self.window, self.up = best, self.windows[which], standing[which] > 0.0

    def check(self) -> Check:
        """The minute's Check; the same object for the same score."""
        flag = self.score >= self.limit
        step = int(self.score / STEP)
        key = 2 * step + flag
        found = self._checks.get(key)
        if found is None:
            said = round(max(step * STEP, self.limit) if flag else min(step * STEP, self.limit), 4)
            found = self._checks[key] = Check(1 if flag else 0, said, self.limit)
        return found

    def ready(self) -> bool:
        """Whether anything was learned."""
        return bool(self._hours)


def _hour(windows: tuple[int, ...], learned: Learned, hour: int) -> list[tuple[int, float, float, float]]:
    """(place in sums, 1 / (spread * window), 1 / limit up, -1 / limit down) of each window."""
    rows = []
    for window in windows:
        spread = learned.profiles[f"spread_{window}"][hour] * window
        limits = learned.limits
        rows.append((-1 - window, 1.0 / spread, 1.0 / limits[f"up_{window}"], -1.0 / limits[f"down_{window}"]))
    return rows


__all__ = ["NOT_EVALUATED", "Learned", "Scales", "standings"]
