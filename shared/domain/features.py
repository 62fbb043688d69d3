"""What the LSTM sees: one place for trainer and forecaster, so that training and serving can't differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import deviations, kriging, profile
from shared.domain.calendar import NO_HOLIDAYS, Calendar
from shared.domain.profile import AHEAD, Profile
from shared.domain.series import Floats, Ints
from shared.domain.weeks import MONDAY_HOUR, WEEK_HOURS, WEEKS, slots_of

VERSION = 3
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
"""Features beyond this are cut: a fault must not carry the network away."""
PAST_WIDTH = 2 * STEP
AHEAD_WIDTH = 28
RECENT = (1, 6, 24)
"""Hours whose mean residual each target hour is told."""

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


@dataclass(frozen=True)
class Inputs:
    """One look of the network, scaled, and what its answer is added to."""

    past: Single
    """(PAST / STEP, 2 * STEP): residuals in usual deviations and whether they are known, oldest first."""
    ahead: Single
    """(169, 28): calendar of the target hour, horizon, usual value, what is likely to be added, earlier residuals;

    last, how far the profile's p10 and p90 lie below and above."""
    base: Floats
    """(169,) forecast of the profile and the recent residuals, in the channel's unit."""
    scale: Floats
    """(169,) usual deviation of the target hour, in the channel's unit."""


def inputs(
    values: Floats, local_hours: Ints, ahead_hours: Ints, scaler: Scaler, calendar: Calendar = NO_HOLIDAYS
) -> Inputs | None:
    """Arrays for a forecast from hourly means, newest last, and their local hours.

    `ahead_hours` are the 169 local hours to be forecast. None while too little of the last two weeks is known.
    """
    if len(values) < PAST or np.count_nonzero(~np.isnan(values[-PAST:])) < ENOUGH * PAST:
        return None
    usual = profile.learn(values, local_hours, calendar)
    if usual is None:
        return None
    newest = np.full(PAST, np.nan)
    newest[max(0, PAST - len(usual.scaled)) :] = usual.scaled[-PAST:]
    known, residuals = ~np.isnan(newest), kriging.fill(newest)
    past = np.concatenate([residuals.reshape(-1, STEP), known.reshape(-1, STEP)], axis=1, dtype=np.float32)
    slots = slots_of(ahead_hours)
    scale, expected = usual.spread[slots], usual.at(ahead_hours)
    added = kriging.ahead(residuals, usual.lasting)
    recent = [np.full(AHEAD, residuals[-hours:].mean()) for hours in RECENT]
    columns = [(expected - scaler.center) / scaler.spread, added, usual.own[slots] / scale, *recent]
    below, above = deviations.errors(usual.scaled, usual.lasting) * np.array([[-1.0], [1.0]])
    columns += [scale / usual.spread.mean(), *_earlier(residuals), below, above]
    parts = [_calendar(ahead_hours), _HORIZON, _holidays(usual, ahead_hours), np.stack(columns, axis=1)]
    ahead = np.clip(np.concatenate(parts, axis=1, dtype=np.float32), -FAR, FAR)
    return Inputs(past, ahead, expected + added * scale, scale)


def _calendar(hours: Ints) -> Floats:
    """(n, 8): two waves of the day, one of the week, Saturday, Sunday."""
    since = (hours - MONDAY_HOUR) % WEEK_HOURS
    waves = [np.pi * since / 12, np.pi * since / 6, np.pi * since / 84]
    weekday = since // 24
    columns = [*(np.sin(wave) for wave in waves), *(np.cos(wave) for wave in waves), weekday == 5, weekday == 6]
    return np.stack(columns, axis=1)


def _holidays(usual: Profile, hours: Ints) -> Floats:
    """(n, 4): whether the day, the one before and the one after is a holiday, and how far it is from a Sunday then."""
    today, before, after = (usual.calendar.off(hours + shift) for shift in (0, -24, 24))
    slots = slots_of(hours)
    return np.stack([today, before, after, today * usual.sunday[slots] / usual.spread[slots]], axis=1)


def _earlier(residuals: Floats) -> list[Floats]:
    """Three times (169,): the newest residual of the same hour of the day, and those of the last two weeks."""
    week, before = residuals[-WEEK_HOURS:], residuals[-2 * WEEK_HOURS : -WEEK_HOURS]
    return [residuals[-24:][_K % 24], week[_K % WEEK_HOURS], before[_K % WEEK_HOURS]]


def outlook(look: Inputs, answer: Floats) -> profile.Outlook:
    """The network's answer (169, 3), in usual deviations, as quantiles in the channel's unit."""
    quantiles = look.base[:, None] + answer * look.scale[:, None]
    return profile.Outlook(quantiles[:, 0], quantiles[:, 1], quantiles[:, 2])
