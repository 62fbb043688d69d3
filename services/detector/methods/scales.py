"""Running side of the moving means: takes a residual a minute, gives a Check."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from services.detector.methods.spreads import BEFORE, CLIP, Learned
from shared.contract.messages import Check
from shared.domain.series import Floats

STEP = 0.05
"""Scores are said in these steps."""
FARTHEST = 1e6
"""Greater scores are not told apart."""
FARTHEST_STEP = int(FARTHEST / STEP)
MOST_CHECKS = 1000

Row = tuple[int, int, int, int, float, float, float, float, float, float, float]
"""Places in sums where a window and the levels before it begin, the weights of the five sums, 1 / limit up and down."""


class Scales:
    """Running side of it: takes a residual a minute, gives a Check."""

    def __init__(self, windows: tuple[int, ...], learned: Learned | None) -> None:
        self.windows = windows
        self.reach = max(windows) + max(BEFORE)
        self.sums = [0.0] * (self.reach + 1)
        """Running sum of the residuals, each in parts of what is usual at its hour."""
        self.standing = [0.0] * len(windows)
        self.score = 0.0
        self.place = 0
        self.up = True
        self.limit = learned.limits["limit"] if learned else 0.0
        self._learned = learned
        self._hours = [_hour(windows, learned, hour) for hour in range(24)] if learned else []
        self._hours_now: list[Row] = []
        self._inverse = [1.0 / scale for scale in learned.profiles["scale"]] if learned else [1.0] * 24
        self._clip = [CLIP * spread for spread in learned.profiles["single"]] if learned else [math.inf] * 24
        self._checks: dict[int, Check] = {}

    @property
    def window(self) -> int:
        """Minutes of the farthest window."""
        return self.windows[self.place]

    def open_day(self, past: Floats) -> None:
        """Begins a day with the residuals of whole days before it (NaN: usual), so that memory stays finite."""
        hours = past.reshape(-1, 24, 60)
        inverse, clip = (np.array(curve)[:, None] for curve in (self._inverse, self._clip))
        cut = np.nan_to_num(np.clip(hours * inverse, -clip, clip)).ravel()
        self.sums = [0.0] * max(self.reach + 1 - len(cut), 1) + np.cumsum(cut).tolist()

    def skip(self, minutes: int) -> None:
        """Passes minutes without a value."""
        self.sums.extend([self.sums[-1]] * minutes)

    def add(self, residual: float, hour: int) -> None:
        """Takes this minute's residual."""
        sums, clip = self.sums, self._clip[hour]
        scaled = residual * self._inverse[hour]
        if not -clip <= scaled <= clip:
            scaled = math.copysign(clip, scaled)
        sums.append(sums[-1] + scaled)
        self._hours_now = self._hours[hour]

    def take(self, residual: float, hour: int) -> None:
        """Sets standing, score, window and side for this minute."""
        self.add(residual, hour)
        sums, standing = self.sums, self.standing
        now = sums[-1]
        best, which = 0.0, 0
        hours = self._hours_now
        for place, (begin, hour_ago, six_ago, day_ago, own, all_, one, six, day, up, down) in enumerate(hours):
            far = now * own - sums[begin] * all_ + sums[hour_ago] * one + sums[six_ago] * six + sums[day_ago] * day
            standing[place] = far
            score = far * up if far > 0.0 else far * down
            if score > best:
                best, which = score, place
        self.score, self.place, self.up = best, which, standing[which] > 0.0

    def far(self, place: int) -> float:
        """Standing of one window at this minute, by its place."""
        sums = self.sums
        begin, hour_ago, six_ago, day_ago, own, all_, one, six, day, _, _ = self._hours_now[place]
        return sums[-1] * own - sums[begin] * all_ + sums[hour_ago] * one + sums[six_ago] * six + sums[day_ago] * day

    def mean(self, window: int) -> float:
        """Mean of the last minutes in parts of what is usual."""
        return (self.sums[-1] - self.sums[-1 - window]) / window

    def level(self) -> float:
        """What was expected of the farthest window from the level before it, in parts of what is usual."""
        if not self._learned:
            return 0.0
        window, sums = self.window, self.sums
        end = sums[-1 - window]
        carried = self._learned.profiles[f"level_{window}"]
        return sum(part * (end - sums[-1 - window - span]) / span for part, span in zip(carried, BEFORE, strict=True))

    def beyond(self) -> Iterator[int]:
        """Points to each window beyond its limit in turn, from the longest on."""
        hours = self._hours_now
        for place in range(len(self.windows) - 1, -1, -1):
            far = self.standing[place]
            if (far * hours[place][-2] if far > 0.0 else far * hours[place][-1]) >= self.limit:
                self.place, self.up = place, far > 0.0
                yield place

    def check(self) -> Check:
        """The minute's Check; the same object for the same score."""
        score, limit = self.score, self.limit
        step = int(score / STEP) if score < FARTHEST else FARTHEST_STEP
        key = 2 * step + 1 if score >= limit else 2 * step
        return self._checks.get(key) or self._said(key, step)

    def _said(self, key: int, step: int) -> Check:
        if len(self._checks) >= MOST_CHECKS:
            self._checks.clear()
        flag, said = key % 2, round(step * STEP, 2)
        found = self._checks[key] = Check(1 if flag else 0, max(said, self.limit) if flag else said, self.limit)
        return found

    def ready(self) -> bool:
        """Whether anything was learned."""
        return bool(self._hours)


def _hour(windows: tuple[int, ...], learned: Learned, hour: int) -> list[Row]:
    """The row of each window."""
    rows = []
    for window in windows:
        spread = learned.profiles[f"spread_{window}"][hour]
        own = 1.0 / (spread * window)
        one, six, day = (
            part / (span * spread) for part, span in zip(learned.profiles[f"level_{window}"], BEFORE, strict=True)
        )
        begin = -1 - window
        hour_ago, six_ago, day_ago = (begin - span for span in BEFORE)
        up, down = 1.0 / learned.limits[f"up_{window}"], -1.0 / learned.limits[f"down_{window}"]
        rows.append((begin, hour_ago, six_ago, day_ago, own, own + one + six + day, one, six, day, up, down))
    return rows
