"""Running side of the moving means: takes a residual a minute, gives a Check."""

from __future__ import annotations

from services.detector.methods.spreads import CLIP, Learned
from shared.contract.messages import Check

STEP = 0.05
"""Scores are said in these steps."""
FARTHEST = 1e6
"""Greater scores are not told apart."""
MOST_CHECKS = 1000

Rows = list[tuple[int, float, float, float]]


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
        self._learned = learned
        self._hours = [_hour(windows, learned, hour, 1.0) for hour in range(24)] if learned else []
        self._hours_now: Rows = []
        self._clip = [CLIP * spread for spread in learned.profiles["spread_1"]] if learned else []
        self._checks: dict[int, Check] = {}

    def open_day(self, yesterday: list[float], wider: float = 1.0) -> None:
        """Begins a day with the residuals of the one before (NaN or nothing: usual), so that memory stays finite.

        wider: how much wider than when they were learned the spreads are now.
        """
        if self._learned:
            self._hours = [_hour(self.windows, self._learned, hour, wider) for hour in range(24)]
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
        best, which = 0.0, 0
        self._hours_now = hours = self._hours[hour]
        for place, (back, inverse, up, down) in enumerate(hours):
            far = (residual if back == -2 else now - sums[back]) * inverse
            standing[place] = far
            score = far * up if far > 0.0 else far * down
            if score > best:
                best, which = score, place
        self.score, self.window, self.up = best, self.windows[which], standing[which] > 0.0

    def look_longer(self) -> None:
        """Points to the longest window beyond its limit instead of the farthest one: what lasts is no spike."""
        hours = self._hours_now
        for place in range(len(self.windows) - 1, -1, -1):
            far = self.standing[place]
            if (far * hours[place][2] if far > 0.0 else far * hours[place][3]) >= self.limit:
                self.window, self.up = self.windows[place], far > 0.0
                return

    def check(self) -> Check:
        """The minute's Check; the same object for the same score."""
        flag = self.score >= self.limit
        step = int(min(self.score, FARTHEST) / STEP)
        key = 2 * step + flag
        found = self._checks.get(key)
        if found is None:
            if len(self._checks) >= MOST_CHECKS:
                self._checks.clear()
            said = round(step * STEP, 2)
            said = max(said, self.limit) if flag else said
            found = self._checks[key] = Check(1 if flag else 0, said, self.limit)
        return found

    def ready(self) -> bool:
        """Whether anything was learned."""
        return bool(self._hours)


def _hour(windows: tuple[int, ...], learned: Learned, hour: int, wider: float) -> Rows:
    """(place in sums, 1 / (spread * window), 1 / limit up, -1 / limit down) of each window."""
    rows = []
    for window in windows:
        spread = learned.profiles[f"spread_{window}"][hour] * window * wider
        limits = learned.limits
        rows.append((-1 - window, 1.0 / spread, 1.0 / limits[f"up_{window}"], -1.0 / limits[f"down_{window}"]))
    return rows
