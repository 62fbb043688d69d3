"""Inputs of the LSTM network: one module for trainer and forecaster, so that training and serving cannot differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain import profile_forecast, residual_process, uncertainty
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.hour_of_week import EPOCH_MONDAY_HOUR, LOOKBACK_WEEKS, WEEK_HOURS, week_slots
from shared.domain.profile_forecast import FORECAST_HOURS, Profile, QuantileForecast
from shared.domain.series import Floats, Ints

FEATURES_VERSION = 3
"""Version of the meaning of the arrays below; a model of another version is not used."""
ENCODER_HOURS = 336
"""Hours that the encoder sees: two weeks."""
ENCODER_STEP_HOURS = 24
"""Hours in one step of the encoder."""
LOOKBACK_HOURS = LOOKBACK_WEEKS * WEEK_HOURS
"""Hours of data that a forecast uses."""
MIN_KNOWN_SHARE = 0.6
"""Known share of the two weeks that the network needs."""
CLIP_STD = 6.0
"""Features are clipped at this value, so that faults have little effect."""
PAST_FEATURES = 2 * ENCODER_STEP_HOURS
AHEAD_FEATURES = 28
RECENT_HOURS = (1, 6, 24)
"""Hours whose mean residual is a feature of each target hour."""

Float32s = NDArray[np.float32]
_K = np.arange(FORECAST_HOURS)
_HORIZON = np.stack([_K / 168.0, np.exp(-_K / 3.0), np.exp(-_K / 12.0), np.exp(-_K / 48.0)], axis=1)


@dataclass(frozen=True)
class Scaler:
    """Robust scaling of one channel in its unit, as by scikit-learn's RobustScaler; the fields are in manifest.json."""

    center: float
    """Median of the hourly means."""
    spread: float
    """Interquartile range of the hourly means."""


@dataclass(frozen=True)
class ModelInputs:
    """The network's inputs for one forecast, and the base that its output corrects."""

    past: Float32s
    """(ENCODER_HOURS / ENCODER_STEP_HOURS, 2 * ENCODER_STEP_HOURS), oldest first:

    residuals in standard deviations, and 1 where they are known."""
    ahead: Float32s
    """(169, 28): calendar of the target hour, horizon, expected value, likely correction, earlier residuals;

    last, the distances of the profile's p10 and p90 from p50."""
    base: Floats
    """(169,) profile forecast, in the channel's unit."""
    scale: Floats
    """(169,) residual standard deviation of the target hour, in the channel's unit."""


def build_inputs(
    values: Floats, local_hours: Ints, ahead_hours: Ints, scaler: Scaler, calendar: HolidayCalendar = NO_HOLIDAYS
) -> ModelInputs | None:
    """Return the inputs for a forecast of the 169 local hours `ahead_hours`.

    `values`: hourly means, newest last, of `local_hours`. None with too little known data in the last two weeks.
    """
    if len(values) < ENCODER_HOURS:
        return None
    if np.count_nonzero(~np.isnan(values[-ENCODER_HOURS:])) < MIN_KNOWN_SHARE * ENCODER_HOURS:
        return None
    profile = profile_forecast.fit(values, local_hours, calendar)
    if profile is None:
        return None
    newest = np.full(ENCODER_HOURS, np.nan)
    newest[max(0, ENCODER_HOURS - len(profile.scaled_residuals)) :] = profile.scaled_residuals[-ENCODER_HOURS:]
    is_known, residuals = ~np.isnan(newest), residual_process.impute(newest)
    past = np.concatenate(
        [residuals.reshape(-1, ENCODER_STEP_HOURS), is_known.reshape(-1, ENCODER_STEP_HOURS)], axis=1, dtype=np.float32
    )
    slots = week_slots(ahead_hours)
    scale, expected = profile.residual_std[slots], profile.expected_at(ahead_hours)
    correction = residual_process.forecast_residuals(residuals, profile.long_kernel_share)
    recent = [np.full(FORECAST_HOURS, residuals[-hours:].mean()) for hours in RECENT_HOURS]
    columns = [(expected - scaler.center) / scaler.spread, correction, profile.weekday_effect[slots] / scale, *recent]
    offsets = uncertainty.quantile_offsets(profile.scaled_residuals, profile.long_kernel_share)
    below, above = offsets * np.array([[-1.0], [1.0]])
    columns += [scale / profile.residual_std.mean(), *_lagged_residuals(residuals), below, above]
    parts = [
        _calendar_features(ahead_hours),
        _HORIZON,
        _holiday_features(profile, ahead_hours),
        np.stack(columns, axis=1),
    ]
    ahead = np.clip(np.concatenate(parts, axis=1, dtype=np.float32), -CLIP_STD, CLIP_STD)
    return ModelInputs(past, ahead, expected + correction * scale, scale)


def _calendar_features(hours: Ints) -> Floats:
    """Return (n, 8): two waves of the day and one of the week, as sine and cosine; Saturday, Sunday."""
    since_monday = (hours - EPOCH_MONDAY_HOUR) % WEEK_HOURS
    waves = [np.pi * since_monday / 12, np.pi * since_monday / 6, np.pi * since_monday / 84]
    weekday = since_monday // 24
    columns = [*(np.sin(wave) for wave in waves), *(np.cos(wave) for wave in waves), weekday == 5, weekday == 6]
    return np.stack(columns, axis=1)


def _holiday_features(profile: Profile, hours: Ints) -> Floats:
    """Return (n, 4): whether the day, the previous and the next day is a holiday, and its Sunday difference if so."""
    today, previous, following = (profile.calendar.holiday_mask(hours + shift) for shift in (0, -24, 24))
    slots = week_slots(hours)
    sunday_difference = today * profile.sunday_difference[slots] / profile.residual_std[slots]
    return np.stack([today, previous, following, sunday_difference], axis=1)


def _lagged_residuals(residuals: Floats) -> list[Floats]:
    """Return three arrays (169,): residuals at the same hour of the last day, last week and week before."""
    week, week_before = residuals[-WEEK_HOURS:], residuals[-2 * WEEK_HOURS : -WEEK_HOURS]
    return [residuals[-24:][_K % 24], week[_K % WEEK_HOURS], week_before[_K % WEEK_HOURS]]


def to_quantiles(inputs: ModelInputs, output: Floats) -> QuantileForecast:
    """Convert the network's output (169, 3), in residual standard deviations, to quantiles in the channel's unit."""
    quantiles = inputs.base[:, None] + output * inputs.scale[:, None]
    return QuantileForecast(quantiles[:, 0], quantiles[:, 1], quantiles[:, 2])
