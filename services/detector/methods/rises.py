"""Rises of nights above the weeks before them: over several numbers of nights, each of the last by itself as well."""

from __future__ import annotations

import numpy as np

from services.detector.memory import Mask
from shared.domain.nan_quantiles import median
from shared.domain.series import Floats, Ints

NIGHTS = (3, 5, 8, 12)
"""Nights that are looked at together."""
BASELINE = 42
FIRM = 3
"""The last nights, of which each must show a part of a rise: what is there for a night or two is no leak."""
STILL = 0.5
"""That part; and the part of what opened an alarm that must still be there."""
ENOUGH = 4
"""Nights that a baseline or a spread needs."""
DEMAND = 2.0
"""Spreads, and times the night's rise, that a day's rise must have to be one of demand, as in heat or on holidays."""
CONSTANT, MINIMUM, BY_DAY = range(3)


def rises(
    flows: Floats, clean: Mask, nights: tuple[int, ...] = NIGHTS, baseline: int = BASELINE
) -> tuple[Floats, Floats]:
    """(len(nights), n) how far the nights up to each are above those of the baseline, m³/h, and the levels there.

    flows: (n,) by night, oldest first; clean: which make a baseline. NaN where unknown.
    """
    levels, own = _levels(flows, clean, baseline), np.full((len(nights), len(flows)), np.nan)
    rise = own.copy()
    for place, count in enumerate(nights):
        latest = _windows(flows, count)
        own[place, count:] = levels[:-count]
        known = 2 * np.count_nonzero(~np.isnan(latest), axis=1) > count
        rise[place] = np.where(known, median(latest.T), np.nan) - own[place]
    return rise, own


def firm(flows: Floats, rise: Floats, levels: Floats) -> Floats:
    """The rises that the last nights show one by one; NaN where the last is unknown."""
    least = np.nan_to_num(_windows(flows, FIRM), nan=np.inf).min(axis=1)
    found: Floats = np.where(np.isnan(flows), np.nan, np.minimum(rise, (least - levels) / STILL))
    return found


def _levels(flows: Floats, clean: Mask, baseline: int) -> Floats:
    """(n,) median of the nights up to each one, without disturbed ones unless hardly any other is left."""
    base = _windows(flows, baseline)
    if not clean.all():
        calm = _windows(np.where(clean, flows, np.nan), baseline)
        known, left = np.count_nonzero(base == base, axis=1), np.count_nonzero(calm == calm, axis=1)
        base = np.where((2 * left >= known)[:, None], calm, base)
    return np.where(np.count_nonzero(base == base, axis=1) >= ENOUGH, median(base.T), np.nan)


def _windows(flows: Floats, count: int) -> Floats:
    """(n, count) the last values up to each; NaN before the first."""
    return np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(count - 1, np.nan), flows]), count)


class Rises:
    """All rises of a series of (3, n) measures; attributes are (3, len(NIGHTS), n), m³/h."""

    def __init__(self, series: Floats, clean: Mask) -> None:
        both = [rises(flows, clean) for flows in series]
        self.found, self.levels = (np.array(part) for part in zip(*both, strict=True))
        self.firmly = np.array([firm(*each) for each in zip(series, self.found, self.levels, strict=True)])

    def clearest(self, spreads: Floats) -> Ints:
        """(n,) place of the number of nights whose constant part has risen by most spreads."""
        rise = self.firmly[CONSTANT] / spreads[CONSTANT][:, None]
        return np.asarray(np.argmax(np.nan_to_num(rise, nan=-np.inf), axis=0), dtype=np.int64)

    def scores(self, spreads: Floats) -> Floats:
        """(n,) spreads by which both the constant part and the night minimum have risen; 0 where demand has."""
        rise = np.nan_to_num(self.firmly[:2] / spreads[:2, :, None], nan=-np.inf).max(axis=1)
        place, every = self.clearest(spreads), np.arange(rise.shape[1])
        by_day, by_night = (self.found[measure][place, every] for measure in (BY_DAY, MINIMUM))
        of_demand = by_day > DEMAND * np.maximum(by_night, spreads[BY_DAY][place])
        return np.where(of_demand, 0.0, np.maximum(rise.min(axis=0), 0.0))
