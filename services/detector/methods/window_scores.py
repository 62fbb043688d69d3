"""Running scores of moving means: one residual a minute in, a Check out."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from services.detector.methods.standardise import CLIP_STD, LEVEL_WINDOW_MINUTES, Parameters
from shared.contract.messages import Check
from shared.domain.series import Floats

SCORE_STEP = 0.05
"""Resolution of published scores."""
MAX_SCORE = 1e6
"""Maximum published score."""
MAX_SCORE_STEP = int(MAX_SCORE / SCORE_STEP)
MAX_CACHED_CHECKS = 1000

WindowRow = tuple[int, int, int, int, float, float, float, float, float, float, float]
"""Indices of a window's start and of the levels' starts; weights of the five sums; 1 / limit up and down."""


class WindowScores:
    """Running scores of several windows, and the most deviating one."""

    def __init__(self, windows: tuple[int, ...], parameters: Parameters | None) -> None:
        self.windows = windows
        self.lookback_minutes = max(windows) + max(LEVEL_WINDOW_MINUTES)
        self.cumulative = [0.0] * (self.lookback_minutes + 1)
        """Cumulative sum of the residuals, each divided by the scale of its hour."""
        self.scores = [0.0] * len(windows)
        self.score = 0.0
        self.window_index = 0
        self.is_up = True
        self.limit = parameters.limits["limit"] if parameters else 0.0
        self._parameters = parameters
        self._rows_by_hour = [_rows_of_hour(windows, parameters, hour) for hour in range(24)] if parameters else []
        self._current_rows: list[WindowRow] = []
        self._inverse_scale = [1.0 / scale for scale in parameters.profiles["scale"]] if parameters else [1.0] * 24
        self._clip = [CLIP_STD * spread for spread in parameters.profiles["single"]] if parameters else [math.inf] * 24
        self._checks: dict[int, Check] = {}

    @property
    def window(self) -> int:
        """Minutes of the selected window."""
        return self.windows[self.window_index]

    def start_day(self, residuals: Floats) -> None:
        """Start a day from the residuals of complete days before it; NaN counts as 0."""
        hours = residuals.reshape(-1, 24, 60)
        inverse, clip = (np.array(curve)[:, None] for curve in (self._inverse_scale, self._clip))
        clipped = np.nan_to_num(np.clip(hours * inverse, -clip, clip)).ravel()
        self.cumulative = [0.0] * max(self.lookback_minutes + 1 - len(clipped), 1) + np.cumsum(clipped).tolist()

    def skip(self, minutes: int) -> None:
        """Skip minutes without a value."""
        self.cumulative.extend([self.cumulative[-1]] * minutes)

    def push(self, residual: float, hour: int) -> None:
        """Add this minute's residual."""
        cumulative, clip = self.cumulative, self._clip[hour]
        scaled = residual * self._inverse_scale[hour]
        if not -clip <= scaled <= clip:
            scaled = math.copysign(clip, scaled)
        cumulative.append(cumulative[-1] + scaled)
        self._current_rows = self._rows_by_hour[hour]

    def update(self, residual: float, hour: int) -> None:
        """Add this minute's residual; set scores, score, window and side."""
        self.push(residual, hour)
        cumulative, scores = self.cumulative, self.scores
        now = cumulative[-1]
        best, best_index = 0.0, 0
        hours = self._current_rows
        for index, (
            begin,
            hour_ago,
            six_ago,
            day_ago,
            now_weight,
            start_weight,
            hour_weight,
            six_hour_weight,
            day_weight,
            up,
            down,
        ) in enumerate(hours):
            far = (
                now * now_weight
                - cumulative[begin] * start_weight
                + cumulative[hour_ago] * hour_weight
                + cumulative[six_ago] * six_hour_weight
                + cumulative[day_ago] * day_weight
            )
            scores[index] = far
            score = far * up if far > 0.0 else far * down
            if score > best:
                best, best_index = score, index
        self.score, self.window_index, self.is_up = best, best_index, scores[best_index] > 0.0

    def score_at(self, index: int) -> float:
        """Return the present score of one window, by its index."""
        cumulative = self.cumulative
        begin, hour_ago, six_ago, day_ago, now_weight, start_weight, hour_weight, six_hour_weight, day_weight, _, _ = (
            self._current_rows[index]
        )
        return (
            cumulative[-1] * now_weight
            - cumulative[begin] * start_weight
            + cumulative[hour_ago] * hour_weight
            + cumulative[six_ago] * six_hour_weight
            + cumulative[day_ago] * day_weight
        )

    def mean(self, window: int) -> float:
        """Return the mean of the last minutes, relative to the scale."""
        return (self.cumulative[-1] - self.cumulative[-1 - window]) / window

    def level_before(self) -> float:
        """Return the expected mean of the selected window from the levels before it, relative to the scale."""
        if not self._parameters:
            return 0.0
        window, cumulative = self.window, self.cumulative
        end = cumulative[-1 - window]
        carryover = self._parameters.profiles[f"level_{window}"]
        return sum(
            share * (end - cumulative[-1 - window - span]) / span
            for share, span in zip(carryover, LEVEL_WINDOW_MINUTES, strict=True)
        )

    def exceeding_windows(self) -> Iterator[int]:
        """Select each window above its limit in turn, longest first, and yield its index."""
        hours = self._current_rows
        for index in range(len(self.windows) - 1, -1, -1):
            score = self.scores[index]
            if (score * hours[index][-2] if score > 0.0 else score * hours[index][-1]) >= self.limit:
                self.window_index, self.is_up = index, score > 0.0
                yield index

    def check(self) -> Check:
        """Return the minute's Check; the same object for the same score."""
        score, limit = self.score, self.limit
        step = int(score / SCORE_STEP) if score < MAX_SCORE else MAX_SCORE_STEP
        key = 2 * step + 1 if score >= limit else 2 * step
        return self._checks.get(key) or self._new_check(key, step)

    def _new_check(self, key: int, step: int) -> Check:
        if len(self._checks) >= MAX_CACHED_CHECKS:
            self._checks.clear()
        flag, rounded = key % 2, round(step * SCORE_STEP, 2)
        check = self._checks[key] = Check(1 if flag else 0, max(rounded, self.limit) if flag else rounded, self.limit)
        return check


def _rows_of_hour(windows: tuple[int, ...], parameters: Parameters, hour: int) -> list[WindowRow]:
    """Return the row of each window."""
    rows = []
    for window in windows:
        std = parameters.profiles[f"spread_{window}"][hour]
        now_weight = 1.0 / (std * window)
        hour_weight, six_hour_weight, day_weight = (
            share / (span * std)
            for share, span in zip(parameters.profiles[f"level_{window}"], LEVEL_WINDOW_MINUTES, strict=True)
        )
        begin = -1 - window
        hour_ago, six_ago, day_ago = (begin - span for span in LEVEL_WINDOW_MINUTES)
        up, down = 1.0 / parameters.limits[f"up_{window}"], -1.0 / parameters.limits[f"down_{window}"]
        rows.append(
            (
                begin,
                hour_ago,
                six_ago,
                day_ago,
                now_weight,
                now_weight + hour_weight + six_hour_weight + day_weight,
                hour_weight,
                six_hour_weight,
                day_weight,
                up,
                down,
            )
        )
    return rows
