"""What pressure there is at this flow: water that leaves the district elsewhere than usual changes it at once.

Pipes take head off as flow grows (Hazen and Williams, 1905; a parabola is as near), so most of what demand does to the
pressure follows from the flow of the same minute. What remains knows nothing of mornings, heat or holidays. A burst
takes more or less of it than the same flow does as demand, as it is near the gauge or far away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from services.detector.memory import MINUTES, Day, Mask, Past, Singles, minutes_of, ten_minute_means
from services.detector.methods.scales import Scales
from services.detector.methods.spreads import LEAST, Learned, Standings, rounded, standings
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats

ENOUGH = 14
"""Clean days that the relation is learned from at least."""
LEVEL_DAYS = 7
"""Days before, whose median is the level: a valve's new setting moves it for good."""
LAG = 3
"""Ten-minute means between those whose difference is looked at: tanks and supply wander more slowly than demand."""
FAR, ROUNDS = 2.5, 5
"""Spreads beyond which a difference is left out of the next of so many fits: a pump was switched."""
RIDGE = 1e-6
ONE_SPREAD = 0.6827
"""Share of normal values within one standard deviation."""
PREFIX = "head_"
MOST = 3.0
"""Times what so much flow takes as demand: a burst takes 0.1 to 2 times that; what is farther off is not its doing."""

Curves = dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Relation:
    """Pressure (bar) as flow (m³/h) and the time of the day give it, up to a level that moves slowly."""

    fit: tuple[float, float]
    """bar per m³/h, and per its square."""
    shape: tuple[float, ...]
    """(144,) bar; a valve may have another setting at night."""

    @cached_property
    def by_minute(self) -> Floats:
        """(1440,) the shape."""
        return minutes_of(np.array(self.shape))

    def beyond(self, flow: Floats | Singles, pressure: Floats | Singles) -> Floats:
        """(…, 1440) what flow and time don't explain of the pressure, level and all."""
        straight, bent = self.fit
        found: Floats = pressure - (straight + bent * flow) * flow - self.by_minute
        return found


def learn(flow: Past, pressure: Past, calm: Mask, windows: tuple[int, ...]) -> tuple[Standings, Curves] | None:
    """Standings of what flow doesn't explain, and the curves for `Head`; None before enough clean days are known."""
    days = calm & pressure.known
    if np.count_nonzero(days) < ENOUGH or not np.nanstd(flow.values[days]) or not np.nanstd(pressure.values[days]):
        return None
    fit = _fit(flow.values[days], pressure.values[days])
    tens = ten_minute_means(Relation(fit, (0.0,) * 144).beyond(flow.values[days], pressure.values[days]))
    shape = np.nan_to_num(median(tens - _daily(tens)[:, None]))
    relation = Relation(fit, tuple(rounded(float(one)) for one in shape))
    beyond = relation.beyond(flow.values, pressure.values)
    daily = _daily(beyond)
    level = np.array([_level(daily[max(0, day - LEVEL_DAYS) : max(1, day)]) for day in range(len(daily))])
    beyond -= level[:, None]
    if not np.nanmax(np.abs(beyond[days])) > 0.0:
        return None
    found = standings(beyond, days, windows, whole=True)
    curves = {"fit": relation.fit, "shape": relation.shape} | found.learned
    return found, {f"{PREFIX}{name}": curve for name, curve in curves.items()}


def reach(curves: Curves, window: int) -> tuple[float, ...]:
    """(24,) spreads that pressure may be off, by hour, for each that flow is up and each bar per m³/h of steepness."""
    parts = (curves[name] for name in (f"spread_{window}", "scale", f"{PREFIX}spread_{window}", f"{PREFIX}scale"))
    return tuple(MOST * up * one / (off * other) for up, one, off, other in zip(*parts, strict=True))


def steepness(curves: Curves, flow: Floats, window: int) -> Floats:
    """bar that a little more flow takes, per m³/h, at the (…, 1440) flows of a day: means of the last minutes."""
    straight, bent = curves[f"{PREFIX}fit"]
    steep = np.abs(straight + 2.0 * bent * flow)
    sums = np.cumsum(np.concatenate([steep[..., -window:], steep], axis=-1), axis=-1)
    found: Floats = (sums[..., window:] - sums[..., :-window]) / window
    return found


def _fit(flow: Floats, pressure: Floats) -> tuple[float, float]:
    """Least squares of differences within half an hour, without those that stand out."""
    both = np.where(np.isnan(pressure), np.nan, flow)
    means = np.stack([ten_minute_means(one) for one in (both, both * both, np.where(np.isnan(flow), np.nan, pressure))])
    steps = (means[:, :, LAG:] - means[:, :, :-LAG]).reshape(3, -1)
    steps = steps[:, ~np.isnan(steps).any(axis=0)]
    if steps.shape[1] < MINUTES // 10:
        return 0.0, 0.0
    size = np.sqrt(np.mean(np.square(steps[:2]), axis=1)) + np.finfo(float).tiny
    given, target = steps[:2] / size[:, None], steps[2]
    kept = np.ones(len(target), dtype=np.bool_)
    weights = np.zeros(2)
    for _ in range(ROUNDS):
        square = given[:, kept] @ given[:, kept].T
        ridge = RIDGE * float(np.trace(square)) + np.finfo(float).tiny
        weights = np.linalg.solve(square + ridge * np.eye(2), given[:, kept] @ target[kept])
        off = np.abs(target - weights @ given)
        kept = off <= FAR * np.quantile(off, ONE_SPREAD)
    straight, bent = (rounded(float(one)) for one in weights / size)
    return straight, bent


def _daily(beyond: Floats) -> Floats:
    """(n,) median of each day; NaN for one without values."""
    return median(beyond.T)


def _level(daily: Floats) -> float:
    """What a day after these begins with; NaN when nothing is known."""
    return float(median(daily[:, None])[0])


class Head:
    """Running side."""

    def __init__(self, windows: tuple[int, ...], learned: Learned) -> None:
        self._curves = learned.profiles
        curves = {name.removeprefix(PREFIX): curve for name, curve in self._curves.items() if name.startswith(PREFIX)}
        straight, bent = curves["fit"]
        self._relation = Relation((straight, bent), curves["shape"])
        sides = {f"{side}_{window}": 1.0 for side in ("up", "down") for window in windows}
        self.scales = Scales(windows, Learned(sides | {"limit": 1.0}, curves))
        self._reach = list(zip(*(reach(self._curves, window) for window in windows), strict=True))
        self._steepness: list[tuple[float, ...]] = []
        self._usual: list[float] = []
        """(1440,) pressure at no flow, bar; empty when no level is known."""
        self._reach_now: tuple[float, ...] = ()
        self._steep_now: tuple[float, ...] = ()

    def open_day(self, number: int, week: list[Day], flow: Floats) -> None:
        """Begins a day with the days of the week before it, and the flow that is usual in its 1440 minutes."""
        beyond = (
            self._relation.beyond(*np.stack([day.values for day in week], axis=1)) if week else np.empty((0, MINUTES))
        )
        level = _level(_daily(beyond))
        self._usual = (level + self._relation.by_minute).tolist() if level == level else []
        steep = [steepness(self._curves, flow, window).tolist() for window in self.scales.windows]
        self._steepness = list(zip(*steep, strict=True))
        nothing, of_day = np.full(MINUTES, np.nan), dict(zip((day.number for day in week), beyond, strict=True))
        before = np.concatenate([of_day.get(number - ago, nothing) for ago in (2, 1)])
        self.scales.open_day(before - level)

    def take(self, minute: int, flow: float, pressure: float) -> bool:
        """Takes a minute, NaN where a value is unknown; whether it can be judged."""
        if not self._usual or flow != flow or pressure != pressure:
            self.scales.skip(1)
            return False
        straight, bent = self._relation.fit
        hour = minute // 60
        self.scales.add(pressure - (straight + bent * flow) * flow - self._usual[minute], hour)
        self._reach_now, self._steep_now = self._reach[hour], self._steepness[minute]
        return True

    def apart(self, place: int, up: float) -> float:
        """Spreads that pressure is off over a window, by its place; 0 where it is more than flow, up so far, can do."""
        off = abs(self.scales.far(place))
        return off if off < self._reach_now[place] * self._steep_now[place] * up else 0.0

    def moved_alone(self, ups: list[float]) -> bool:
        """Whether pressure is far off over some window, and that is more than flow, up so far, can do."""
        return any(abs(self.scales.far(place)) > LEAST and not self.apart(place, up) for place, up in enumerate(ups))
