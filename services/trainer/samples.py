"""Hours become samples: split by time, scaled, looked at as the forecaster will."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import RobustScaler

from services.trainer.hours import Hours
from shared.domain.features import PAST, Inputs, Scaler, Single
from shared.domain.series import Ints
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
class Split:
    """Indices of hours: learned from before `watched`, stopped early by those before `held`, judged on the rest."""

    watched: int
    held: int
    end: int


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
    at, seen = looks(hours, scaler, start, stop - 24, every)
    if not seen:
        raise ValueError("the readings have too many gaps to learn from")
    came = np.stack(
        [(hours.truth(int(hour), stop) - look.base) / look.scale for hour, look in zip(at, seen, strict=True)]
    )
    past, ahead = np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen])
    return Samples(past, ahead, came.astype(np.float32))
