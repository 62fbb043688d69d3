"""What the LSTM sees: one place for trainer and forecaster, so that training and serving can't differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import profile
from shared.domain.profile import AHEAD, MONDAY_HOUR, WEEK_HOURS, WEEKS
from shared.domain.series import Floats, Ints

VERSION = 1
"""Changes with the meaning of the arrays below; a model of another version can't serve."""
PAST = 336
"""Hours that the encoder looks back: two weeks."""
STEP = 24
"""Hours that the encoder takes at once."""
MEMORY = WEEKS * WEEK_HOURS
"""Hours that a forecast needs to look at."""
ENOUGH = 0.6
"""Share of the two weeks that must be known."""
FAR = 6.0
"""Residuals beyond this many scales are cut: a fault must not carry the network away."""
PAST_WIDTH = 2 * STEP
AHEAD_WIDTH = 17

Single = NDArray[np.float32]
_K = np.arange(AHEAD)
_HORIZON = np.stack([_K / 168.0, np.exp(-_K / 3.0), np.exp(-_K / 12.0), np.exp(-_K / 48.0)], axis=1)


@dataclass(frozen=True)
class Scaler:
    """Robust scaling of one channel, in its unit: numbers of a scikit-learn RobustScaler."""

    center: float
    """Median of the hourly means."""
    spread: float
    """Interquartile range of the hourly means."""
    residual: float
    """Interquartile range of the residuals over the profile."""


@dataclass(frozen=True)
class Inputs:
    """One look of the network, scaled, and what its answer is added to."""

    past: Single
    """(PAST / STEP, 2 * STEP): residuals and whether they are known, oldest first."""
    ahead: Single
    """(169, 17): calendar of the target hour, horizon, usual value, level and earlier residuals of that hour."""
    base: Floats
    """(169,) forecast of profile and level, in the channel's unit."""


def inputs(values: Floats, local_hours: Ints, ahead_hours: Ints, scaler: Scaler) -> Inputs | None:
    """Arrays for a forecast from hourly means, newest last, and their local hours.

    `ahead_hours` are the 169 local hours to be forecast. None while too little of the last two weeks is known.
    """
    if len(values) < PAST or np.count_nonzero(~np.isnan(values[-PAST:])) < ENOUGH * PAST:
        return None
    usual = profile.learn(values, local_hours)
    if usual is None:
        return None
    residuals = usual.residuals[-PAST:]
    known = ~np.isnan(residuals)
    scaled = np.clip(np.where(known, residuals, 0.0) / scaler.residual, -FAR, FAR)
    past = np.concatenate([scaled.reshape(-1, STEP), known.reshape(-1, STEP)], axis=1, dtype=np.float32)
    expected, added = usual.at(ahead_hours), profile.excess(usual)
    parts = [
        _calendar(ahead_hours),
        _HORIZON,
        ((expected - scaler.center) / scaler.spread)[:, None],
        np.clip(added / scaler.residual, -FAR, FAR)[:, None],
        _earlier(scaled),
    ]
    return Inputs(past, np.concatenate(parts, axis=1, dtype=np.float32), expected + added)


def _calendar(hours: Ints) -> Floats:
    """(n, 8): two waves of the day, one of the week, Saturday, Sunday."""
    since = (hours - MONDAY_HOUR) % WEEK_HOURS
    waves = [np.pi * since / 12, np.pi * since / 6, np.pi * since / 84]
    weekday = since // 24
    columns = [*(np.sin(wave) for wave in waves), *(np.cos(wave) for wave in waves), weekday == 5, weekday == 6]
    return np.stack(columns, axis=1)


def _earlier(scaled: Floats) -> Floats:
    """(169, 3): the newest known residual of the same hour of the day, and of the same hour of the last two weeks."""
    day = scaled[-24:][_K % 24]
    week, before = scaled[-WEEK_HOURS:][_K % WEEK_HOURS], scaled[-2 * WEEK_HOURS : -WEEK_HOURS][_K % WEEK_HOURS]
    return np.stack([day, week, before], axis=1)


def outlook(base: Floats, answer: Floats, scaler: Scaler) -> profile.Outlook:
    """The network's answer (169, 3), in scales of the residual, as quantiles in the channel's unit."""
    quantiles = base[:, None] + answer * scaler.residual
    return profile.Outlook(quantiles[:, 0], quantiles[:, 1], quantiles[:, 2])
