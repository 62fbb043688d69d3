"""What the LSTM sees: one place for trainer and forecaster, so that training and serving can't differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import profile_forecast, residual_process, uncertainty
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.hour_of_week import EPOCH_MONDAY_HOUR, LOOKBACK_WEEKS, WEEK_HOURS, week_slots
from shared.domain.profile_forecast import FORECAST_HOURS, Profile
from shared.domain.series import Floats, Ints

FEATURES_VERSION = 3
"""Changes with the meaning of the arrays below; a model of another version can't serve."""
ENCODER_HOURS = 336
"""Hours that the encoder looks back: two weeks."""
ENCODER_STEP_HOURS = 24
"""Hours that the encoder takes at once."""
LOOKBACK_HOURS = LOOKBACK_WEEKS * WEEK_HOURS
"""Hours that a forecast needs to look at."""
MIN_KNOWN_SHARE = 0.6
"""Share of the two weeks that must be known."""
CLIP_STD = 6.0
"""Features beyond this are cut: a fault must not carry the network away."""
PAST_FEATURES = 2 * ENCODER_STEP_HOURS
AHEAD_FEATURES = 28
RECENT_HOURS = (1, 6, 24)
"""Hours whose mean residual each target hour is told."""

Float32s = NDArray[np.float32]
_K = np.arange(FORECAST_HOURS)
_HORIZON = np.stack([_K / 168.0, np.exp(-_K / 3.0), np.exp(-_K / 12.0), np.exp(-_K / 48.0)], axis=1)


@dataclass(frozen=True)
class Scaler:
    """Robust scaling of one channel, in its unit: numbers of a scikit-learn RobustScaler."""

    center: float
    """Median of the hourly means."""
    spread: float
    """Interquartile range of the hourly means."""


@dataclass(frozen=True)
class ModelInputs:
    """One look of the network, scaled, and what its answer is added to."""

    past: Float32s
    """(PAST / STEP, 2 * STEP): residuals in usual deviations and whether they are known, oldest first."""
    ahead: Float32s
    """(169, 28): calendar of the target hour, horizon, usual value, what is likely to be added, earlier residuals;

    last, how far the profile's p10 and p90 lie below and above."""
    base: Floats
    """(169,) forecast of the profile and the recent residuals, in the channel's unit."""
    scale: Floats
    """(169,) usual deviation of the target hour, in the channel's unit."""


def build_inputs(
    values: Floats, local_hours: Ints, ahead_hours: Ints, scaler: Scaler, calendar: HolidayCalendar = NO_HOLIDAYS
) -> ModelInputs | None:
    """Arrays for a forecast from hourly means, newest last, and their local hours.

    `ahead_hours` are the 169 local hours to be forecast. None while too little of the last two weeks is known.
    """
    if (
        len(values) < ENCODER_HOURS
        or np.count_nonzero(~np.isnan(values[-ENCODER_HOURS:])) < MIN_KNOWN_SHARE * ENCODER_HOURS
    ):
        return None
    usual = profile_forecast.fit(values, local_hours, calendar)
    if usual is None:
        return None
    newest = np.full(ENCODER_HOURS, np.nan)
    newest[max(0, ENCODER_HOURS - len(usual.scaled_residuals)) :] = usual.scaled_residuals[-ENCODER_HOURS:]
    known, residuals = ~np.isnan(newest), residual_process.impute(newest)
    past = np.concatenate(
        [residuals.reshape(-1, ENCODER_STEP_HOURS), known.reshape(-1, ENCODER_STEP_HOURS)], axis=1, dtype=np.float32
    )
    slots = week_slots(ahead_hours)
    scale, expected = usual.residual_std[slots], usual.expected_at(ahead_hours)
    added = residual_process.forecast_residuals(residuals, usual.long_kernel_share)
    recent = [np.full(FORECAST_HOURS, residuals[-hours:].mean()) for hours in RECENT_HOURS]
    columns = [(expected - scaler.center) / scaler.spread, added, usual.weekday_effect[slots] / scale, *recent]
    below, above = uncertainty.quantile_offsets(usual.scaled_residuals, usual.long_kernel_share) * np.array(
        [[-1.0], [1.0]]
    )
    columns += [scale / usual.residual_std.mean(), *_lagged_residuals(residuals), below, above]
    parts = [
        _calendar_features(ahead_hours),
        _HORIZON,
        _holiday_features(usual, ahead_hours),
        np.stack(columns, axis=1),
    ]
    ahead = np.clip(np.concatenate(parts, axis=1, dtype=np.float32), -CLIP_STD, CLIP_STD)
    return ModelInputs(past, ahead, expected + added * scale, scale)


def _calendar_features(hours: Ints) -> Floats:
    """(n, 8): two waves of the day, one of the week, Saturday, Sunday."""
    since = (hours - EPOCH_MONDAY_HOUR) % WEEK_HOURS
    waves = [np.pi * since / 12, np.pi * since / 6, np.pi * since / 84]
    weekday = since // 24
    columns = [*(np.sin(wave) for wave in waves), *(np.cos(wave) for wave in waves), weekday == 5, weekday == 6]
    return np.stack(columns, axis=1)


def _holiday_features(usual: Profile, hours: Ints) -> Floats:
    """(n, 4): whether the day, the one before and the one after is a holiday, and how far it is from a Sunday then."""
    today, before, after = (usual.calendar.holiday_mask(hours + shift) for shift in (0, -24, 24))
    slots = week_slots(hours)
    return np.stack([today, before, after, today * usual.sunday_difference[slots] / usual.residual_std[slots]], axis=1)


def _lagged_residuals(residuals: Floats) -> list[Floats]:
    """Three times (169,): the newest residual of the same hour of the day, and those of the last two weeks."""
    week, before = residuals[-WEEK_HOURS:], residuals[-2 * WEEK_HOURS : -WEEK_HOURS]
    return [residuals[-24:][_K % 24], week[_K % WEEK_HOURS], before[_K % WEEK_HOURS]]


def to_quantiles(inputs: ModelInputs, answer: Floats) -> profile_forecast.QuantileForecast:
    """The network's answer (169, 3), in usual deviations, as quantiles in the channel's unit."""
    quantiles = inputs.base[:, None] + answer * inputs.scale[:, None]
    return profile_forecast.QuantileForecast(quantiles[:, 0], quantiles[:, 1], quantiles[:, 2])
