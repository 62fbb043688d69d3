"""Baseline forecasters, from simple rules to common methods; each returns 169 values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.trainer.training_data import HourlySeries
from shared.domain.hour_of_week import WEEK_HOURS, week_slots
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats, Ints

Baseline = Callable[[HourlySeries, int], Floats]
"""Takes the hours of a channel and the index of the hour of issue; returns (169,) in the channel's unit."""
LAG_HOURS = (*range(1, 25), 48, 72, 96, 120, 144, 168, 336)
"""Lags from the hour of issue that LightGBM sees."""
MAX_TRAINING_HOURS = 9000
"""Hours of training data at most."""
HORIZONS = np.arange(FORECAST_HOURS)


def last_value(series: HourlySeries, hour: int) -> Floats:
    return np.full(FORECAST_HOURS, fill_gaps(series.values[:hour])[-1])


def previous_week(series: HourlySeries, hour: int) -> Floats:
    return fill_gaps(series.values[:hour])[hour - WEEK_HOURS :][HORIZONS % WEEK_HOURS]


def mean_of_four_weeks(series: HourlySeries, hour: int) -> Floats:
    weeks = series.values[hour - 4 * WEEK_HOURS : hour].reshape(4, WEEK_HOURS)
    return _aggregate_weeks(weeks, np.nanmean, series, hour)


def hour_of_week_profile(series: HourlySeries, hour: int) -> Floats:
    """Return the median of six weeks."""
    weeks = series.values[hour - 6 * WEEK_HOURS : hour].reshape(6, WEEK_HOURS)
    return _aggregate_weeks(weeks, np.nanmedian, series, hour)


def _aggregate_weeks(weeks: Floats, aggregate: Callable[..., Floats], series: HourlySeries, hour: int) -> Floats:
    """Return an aggregate of weeks (n, 168); hours without data follow the previous week."""
    unknown = np.isnan(weeks).all(axis=0)
    week = aggregate(np.where(unknown, 0.0, weeks), axis=0)
    week[unknown] = previous_week(series, hour)[:WEEK_HOURS][unknown]
    return week[HORIZONS % WEEK_HOURS]


def fill_gaps(values: Floats) -> Floats:
    """Replace unknown hours by those of a week before, else interpolate."""
    filled = values.copy()
    for hour in np.flatnonzero(np.isnan(filled)):
        filled[hour] = filled[hour - WEEK_HOURS] if hour >= WEEK_HOURS else np.nan
    known = np.flatnonzero(~np.isnan(filled))
    return np.asarray(np.interp(np.arange(len(filled)), known, filled[known]))


class LightGbm:
    """LightGBM, untuned: one model for all horizons, on lags, hour of the week, horizon and profile."""

    def __init__(self, series: HourlySeries, stop: int, step_hours: int = 3, seed: int = 1) -> None:
        import lightgbm

        self.values = fill_gaps(series.values)
        first = max(6 * WEEK_HOURS, stop - MAX_TRAINING_HOURS)
        issued = np.arange(first, stop - FORECAST_HOURS, step_hours)
        horizons = np.random.default_rng(seed).integers(0, FORECAST_HOURS, (len(issued), 12))
        rows = np.concatenate(
            [self._rows(series, int(hour), ahead) for hour, ahead in zip(issued, horizons, strict=True)]
        )
        targets = series.values[(issued[:, None] + horizons).ravel()]
        known = ~np.isnan(targets)
        self.models = [
            lightgbm.LGBMRegressor(
                objective="quantile", alpha=alpha, n_estimators=200, random_state=seed, n_jobs=1, verbose=-1
            ).fit(rows[known], targets[known])
            for alpha in (0.1, 0.5, 0.9)
        ]

    def quantiles(self, series: HourlySeries, hour: int) -> Floats:
        """Return quantiles (169, 3)."""
        rows = self._rows(series, hour, HORIZONS)
        return np.stack([model.predict(rows) for model in self.models], axis=1)

    def __call__(self, series: HourlySeries, hour: int) -> Floats:
        return self.quantiles(series, hour)[:, 1]

    def _rows(self, series: HourlySeries, hour: int, horizons: Ints) -> Floats:
        lags = np.tile(self.values[hour - np.array(LAG_HOURS)], (len(horizons), 1))
        local = series.local_hours[hour + horizons]
        weeks = self.values[hour - 4 * WEEK_HOURS : hour].reshape(4, WEEK_HOURS)
        profile = np.median(weeks, axis=0)[horizons % WEEK_HOURS]
        slots = week_slots(local)
        is_holiday = series.calendar.holiday_mask(np.arange(local.min(), local.max() + 1))[local - local.min()]
        columns = [profile, weeks[-1][horizons % WEEK_HOURS], slots % 24, slots // 24, is_holiday, horizons]
        return np.concatenate([lags, np.stack(columns, axis=1)], axis=1)


def seasonal_trend(series: HourlySeries, hour: int) -> Floats:
    """MSTL (Bandara, Hyndman and Bergmeir, 2021) of eight weeks: a day, a week, and AutoETS for the rest."""
    from statsforecast.models import MSTL, AutoETS

    model = MSTL(season_length=[24, WEEK_HOURS], trend_forecaster=AutoETS(model="ZZN"))
    values = fill_gaps(series.values[hour - 8 * WEEK_HOURS : hour])
    return np.asarray(model.forecast(values, FORECAST_HOURS)["mean"])


SIMPLE_BASELINES: dict[str, Baseline] = {
    "last value": last_value,
    "previous week": previous_week,
    "mean of four weeks": mean_of_four_weeks,
    "hour-of-week profile, median of six weeks": hour_of_week_profile,
    "MSTL with AutoETS": seasonal_trend,
}
