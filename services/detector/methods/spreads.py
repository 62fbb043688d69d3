"""How far means of several lengths are from what is usual, each against its own spread at that hour of the day.

A window per kind of event, as in the multi-scale (MOSUM) tests for a shift of the mean: Eichinger and Kirch (2018),
doi:10.3150/16-BEJ887. The score is the farthest window in parts of its own limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.detector.memory import KNOWN_MINUTES, Mask, Past
from services.detector.tail import limit_for
from shared.domain.nan_quantiles import quantile
from shared.domain.series import Floats

CLIP = 10.0
"""Spreads of a single minute at which it is cut, so that one wild minute is no burst."""
LOWEST = 0.5
"""Lowest limit of the farthest window in parts of its own limit."""
LEAST = 3.0
"""No mean is called far within so many spreads."""
BEFORE = (60, 360, 1440)
"""Minutes before a window whose level is expected to go on in it, as far as it did on clean days."""
LEARNED_EACH, RIDGE = 7, 0.01
FEW, KNOWN, WIDER = 12.0, 77.0, 0.6
"""Days and power of that caution: limits are four times as wide after one day, half as wide again after ten, 1.06 times

after six weeks, and as they were set after three months.
"""
ONE_SIDE = 1.2816
"""Standard deviations of the 80 % quantile of absolute normal values."""


@dataclass(frozen=True)
class Learned:
    """Numbers that a method goes by: name to limit, name to curve."""

    limits: dict[str, float]
    profiles: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Days:
    """Which of n days count."""

    known: Mask
    calm: Mask


def caution(days: int) -> float:
    """How much wider limits are while few days are known: they don't show what other days of a week or season bring."""
    return float(((1.0 + FEW / max(days, 1)) / (1.0 + FEW / KNOWN)) ** WIDER)


def days_of(past: Past, residuals: Floats) -> Days | None:
    """Days with residuals to learn from; None when there are none, or nothing ever varied."""
    seen = np.count_nonzero(~np.isnan(residuals), axis=1) >= KNOWN_MINUTES
    calm = past.calm & seen
    if not calm.any() or not np.nanmax(np.abs(residuals[calm])) > 0:
        return None
    return Days(past.known & seen, calm)


class Moving:
    """Means of the last minutes, and of those before them, at each minute of (n, 1440) days in a row."""

    def __init__(self, filled: Floats) -> None:
        self._shape = filled.shape
        self._sums = np.cumsum(filled.ravel())

    def means(self, window: int) -> Floats:
        """(n, 1440) means of the last minutes; what was before the first day counts as 0."""
        return self._before(0, window)

    def levels(self, window: int) -> Floats:
        """(len(BEFORE), n, 1440) means of the hour, six hours and day before a window of minutes."""
        return np.stack([self._before(window, span) for span in BEFORE])

    def _before(self, ago: int, span: int) -> Floats:
        means = np.zeros(self._sums.size)
        means[ago:] = self._sums[: -ago or None]
        means[ago + span :] -= self._sums[: -ago - span]
        means /= span
        return means.reshape(self._shape)


@dataclass(frozen=True)
class Standings:
    """Moving means in spreads, each (n, 1440), and what they were made with."""

    learned: dict[str, tuple[float, ...]]
    by_window: dict[int, Floats]
    moving: Moving
    """Of the scaled residuals, without wild minutes and gaps."""
    expected: dict[int, Floats]
    """What the levels before a window let expect of its mean."""


def standings(residuals: Floats, clean: Mask, windows: tuple[int, ...], whole: bool = False) -> Standings:
    """Moving means of (n, 1440) residuals beyond the level before them, in their own spread on clean days.

    Residuals are first divided by what is usual at their hour, so that a quiet night counts more than a busy morning.
    NaN counts as usual. whole: the level goes on in full, wherever it is.
    """
    scale = np.array(_curve(spread_by_hour(_of_ten(residuals), clean, np.nan)))
    scaled = residuals / np.repeat(scale, 60)
    single = np.array(_curve(spread_by_hour(scaled, clean, np.nan)))
    filled = np.nan_to_num(np.clip(scaled, *(sign * CLIP * np.repeat(single, 60) for sign in (-1, 1))))
    moving, found, expected = Moving(filled), {}, {}
    curves = {"scale": _curve(scale), "single": _curve(single)}
    for window in windows:
        means, before = moving.means(window), moving.levels(window)
        curves[f"level_{window}"] = carried = (_whole if whole else _carried)(means[clean], before[:, clean])
        expected[window] = np.tensordot(np.array(carried), before, 1)
        beyond = means - expected[window]
        spread = spread_by_hour(beyond, clean, float(single.mean()) / window)
        curves[f"spread_{window}"] = _curve(spread)
        found[window] = beyond / np.repeat(np.array(curves[f"spread_{window}"]), 60)
    return Standings(curves, found, moving, expected)


def _of_ten(residuals: Floats) -> Floats:
    """Means of ten minutes, at each of them, of (n, 1440); NaN where none is known."""
    tens = residuals.reshape(len(residuals), -1, 10)
    known = ~np.isnan(tens)
    means = np.where(known, tens, 0.0).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    return np.repeat(np.where(known.any(axis=2), means, np.nan), 10, axis=1)


def _carried(means: Floats, before: Floats) -> tuple[float, ...]:
    """How much of each level before a window goes on in it: least squares, hardly moved by what stands out."""
    target, given = means.ravel()[::LEARNED_EACH], before.reshape(len(before), -1)[:, ::LEARNED_EACH]
    rows = np.vstack([target, given])
    far = 4.0 * np.quantile(np.abs(rows), 0.8, axis=1, keepdims=True) / ONE_SIDE
    rows = np.clip(rows, -far, far)
    square = rows[1:] @ rows[1:].T
    ridge = RIDGE * float(np.trace(square)) / len(before)
    if not ridge:
        return (0.0,) * len(before)
    return _curve(np.linalg.solve(square + ridge * np.eye(len(before)), rows[1:] @ rows[0]))


def _whole(means: Floats, before: Floats) -> tuple[float, ...]:
    """The same with parts that add up to one: what the shorter levels don't carry the day's does."""
    parts = _carried(means - before[-1], before[:-1] - before[-1])
    return (*parts, rounded(1.0 - sum(parts)))


def spread_by_hour(means: Floats, clean: Mask, floor: float) -> Floats:
    """(24,) robust standard deviation at each hour of the day, from the 80 % quantile; calm hours lean on the rest."""
    hours = np.abs(means[clean]).reshape(-1, 24, 60).transpose(1, 0, 2).reshape(24, -1)
    if (unknown := np.isnan(hours).all(axis=1)).any():
        hours[unknown] = quantile(hours.reshape(-1, 1), 0.8)
    spread = quantile(hours.T, 0.8) / ONE_SIDE
    wide = np.stack([np.roll(spread, -1), spread, np.roll(spread, 1)]).max(axis=0)
    spread = 0.5 * (spread + wide)
    overall = float(np.sqrt(np.nanmean(np.square(np.clip(hours, 0, 5 * np.nanmax(spread))))))
    widened: Floats = np.maximum(spread, np.nanmax([0.2 * float(np.nanmedian(spread)), 0.05 * overall, floor]))
    return widened


def daily_maxima(scores: Floats, days: Days) -> Floats:
    """(n,) maximum of each day; infinite with an anomaly, NaN where unknown."""
    return np.where(days.known, np.where(days.calm, scores.max(axis=1), np.inf), np.nan)


def learn_sides(found: Standings, days: Days, up: float, down: float, parts: dict[int, float]) -> dict[str, float]:
    """Limit of each window and side, for a false-alarm rate per day of each side and each window's part of it."""
    limits = {}
    for window, far in found.by_window.items():
        for side, sign, rate in (("up", 1, up), ("down", -1, down)):
            limit = limit_for(daily_maxima(sign * far, days), rate * parts[window])
            limits[f"{side}_{window}"] = rounded(max(limit, LEAST))
    return limits


def farthest(found: Standings, limits: dict[str, float]) -> Floats:
    """(n, 1440) farthest standing in parts of its limit."""
    sides = [
        np.maximum(far / limits[f"up_{window}"], -far / limits[f"down_{window}"])
        for window, far in found.by_window.items()
    ]
    together: Floats = np.array(sides).max(axis=0)
    return together


def _curve(values: Floats) -> tuple[float, ...]:
    return tuple(rounded(float(value)) for value in values)


def rounded(value: float) -> float:
    """Six digits: what is used is what is stored."""
    return float(f"{value:.6g}")
