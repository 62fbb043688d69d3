"""Hours become samples: split by time, scaled, looked at as the forecaster will. Without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import RobustScaler

from services.trainer.hours import Hours
from shared.domain.features import AHEAD_WIDTH, PAST, PAST_WIDTH, STEP, Inputs, Scaler, Single
from shared.domain.profile import AHEAD
from shared.domain.series import Floats, Ints
from shared.domain.weeks import WEEK_HOURS

HELD_WEEKS, LONG_WEEKS = 4, 20
"""Weeks held back of at least LONG_WEEKS; of less, a sixth and at least one week."""
MOST_SAMPLES = 4400
WATCHED_EVERY, HELD_EVERY = 3, 1
"""Hours between the looks that are watched and held back."""


@dataclass(frozen=True)
class Samples:
    """Looks and what came, one row an issue time."""

    past: Single
    """(n, PAST / STEP, 2 * STEP)"""
    ahead: Single
    """(n, 169, 28)"""
    truth: Single
    """(n, 169) what came minus the base, in usual deviations; NaN where unknown or not to be learned."""

    def __len__(self) -> int:
        return len(self.past)


@dataclass(frozen=True)
class Prepared:
    """All that the training of one channel needs to know of its hours."""

    fitted: RobustScaler
    scaler: Scaler
    learned: Samples
    watched: Samples
    held: Ints
    """(n,) indices of the hours at whose start forecasts are compared."""
    seen: list[Inputs]
    """What the network sees then."""
    truth: Floats
    """(n, 169) what came; NaN where unknown."""
    usual: Floats
    """(n, 169, 3) quantiles of the profile; NaN where there is none."""


@dataclass(frozen=True)
class Split:
    """Indices of hours: learned from before `watched`, stopped early by those before `held`, judged on the rest."""

    watched: int
    held: int
    end: int


def prepare(hours: Hours) -> Prepared:
    """Raises ValueError for too many gaps."""
    parts = split(hours)
    fitted, scaler = fit_scaler(hours, parts.held)
    every = max(1, -(-(parts.watched - PAST) // MOST_SAMPLES))
    learned = samples(hours, scaler, PAST, parts.watched, every)
    watched = samples(hours, scaler, parts.watched, parts.held, WATCHED_EVERY)
    held, seen = looks(hours, scaler, parts.held, parts.end - 24, HELD_EVERY)
    if not seen:
        raise ValueError("the newest weeks have too many gaps to judge a model")
    truth = np.stack([hours.truth(int(hour), parts.end) for hour in held])
    return Prepared(
        fitted, scaler, learned, watched, held, seen, truth, np.stack([_usual(hours, int(one)) for one in held])
    )


def _usual(hours: Hours, hour: int) -> Floats:
    found = hours.usual(hour)
    return np.stack([found.p10, found.p50, found.p90], axis=1) if found else np.full((AHEAD, 3), np.nan)


def split(hours: Hours) -> Split:
    """The newest weeks are held back, those before them watched for the early stop."""
    end = len(hours.values)
    held = HELD_WEEKS * WEEK_HOURS if end >= LONG_WEEKS * WEEK_HOURS else max(WEEK_HOURS, end // 6)
    rest = end - held
    watched = int(np.clip((rest - PAST) // 4, 48, HELD_WEEKS * WEEK_HOURS))
    return Split(rest - watched, rest, end)


def fit_scaler(hours: Hours, stop: int) -> tuple[RobustScaler, Scaler]:
    """Scaling of one channel from the hours before `stop`."""
    known = hours.values[:stop][~np.isnan(hours.values[:stop])]
    fitted = RobustScaler().fit(known[:, None])
    return fitted, Scaler(float(fitted.center_[0]), float(fitted.scale_[0]))


def looks(hours: Hours, scaler: Scaler, start: int, stop: int, every: int) -> tuple[Ints, list[Inputs]]:
    """The looks of every so many hours for which enough is known, and their hours."""
    found = [(hour, look) for hour in range(start, stop, every) if (look := hours.look(hour, scaler))]
    return np.array([hour for hour, _ in found], dtype=np.int64), [look for _, look in found]


def samples(hours: Hours, scaler: Scaler, start: int, stop: int, every: int) -> Samples:
    """Looks with what came before `stop`, in usual deviations. Raises ValueError when there are none."""
    at = range(start, stop - 24, every)
    past = np.empty((len(at), PAST // STEP, PAST_WIDTH), np.float32)
    ahead, came = np.empty((len(at), AHEAD, AHEAD_WIDTH), np.float32), np.empty((len(at), AHEAD), np.float32)
    known = 0
    for hour in at:
        if look := hours.look(hour, scaler):
            past[known], ahead[known] = look.past, look.ahead
            came[known] = (hours.truth(hour, stop) - look.base) / look.scale
            known += 1
    if not known:
        raise ValueError("the readings have too many gaps to learn from")
    return Samples(past[:known], ahead[:known], came[:known])
