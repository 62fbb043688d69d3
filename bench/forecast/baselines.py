"""What others forecast a week with, from simple rules to what is commonly taken for it; each gives 169 values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.trainer.training_data import HourlySeries
from shared.domain.hour_of_week import WEEK_HOURS, week_slots
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats, Ints

Baseline = Callable[[HourlySeries, int], Floats]
"""Hours of a channel, and the index of the hour at whose start it forecasts; gives (169,) in the channel's unit."""
LAG_HOURS = (*range(1, 25), 48, 72, 96, 120, 144, 168, 336)
"""Hours back that LightGBM is told, from the hour of issue."""
MAX_TRAINING_HOURS = 9000
"""Hours that are learned from at most."""
HORIZONS = np.arange(FORECAST_HOURS)


def last_value(hours: HourlySeries, hour: int) -> Floats:
    return np.full(FORECAST_HOURS, fill_gaps(hours.values[:hour])[-1])


def previous_week(hours: HourlySeries, hour: int) -> Floats:
    return fill_gaps(hours.values[:hour])[hour - WEEK_HOURS :][HORIZONS % WEEK_HOURS]


def mean_of_four_weeks(hours: HourlySeries, hour: int) -> Floats:
    weeks = hours.values[hour - 4 * WEEK_HOURS : hour].reshape(4, WEEK_HOURS)
    return _or_filled(weeks, np.nanmean, hours, hour)


def hour_of_week_profile(hours: HourlySeries, hour: int) -> Floats:
    """Median of six weeks."""
    weeks = hours.values[hour - 6 * WEEK_HOURS : hour].reshape(6, WEEK_HOURS)
    return _or_filled(weeks, np.nanmedian, hours, hour)


def _or_filled(weeks: Floats, common: Callable[..., Floats], hours: HourlySeries, hour: int) -> Floats:
    unknown = np.isnan(weeks).all(axis=0)
    found = common(np.where(unknown, 0.0, weeks), axis=0)
    found[unknown] = previous_week(hours, hour)[:WEEK_HOURS][unknown]
    return found[HORIZONS % WEEK_HOURS]


def fill_gaps(values: Floats) -> Floats:
    """Unknown hours become those of a week before, or else the next known ones."""
    found = values.copy()
    for hour in np.flatnonzero(np.isnan(found)):
        found[hour] = found[hour - WEEK_HOURS] if hour >= WEEK_HOURS else np.nan
    known = np.flatnonzero(~np.isnan(found))
    return np.asarray(np.interp(np.arange(len(found)), known, found[known]))


class LightGbm:
    """LightGBM, untuned: one model for all horizons, told lags, the hour of the week, the horizon and the profile."""

    def __init__(self, hours: HourlySeries, stop: int, every: int = 3, seed: int = 1) -> None:
        import lightgbm

        self.values = fill_gaps(hours.values)
        first = max(6 * WEEK_HOURS, stop - MAX_TRAINING_HOURS)
        issued = np.arange(first, stop - FORECAST_HOURS, every)
        ahead = np.random.default_rng(seed).integers(0, FORECAST_HOURS, (len(issued), 12))
        rows = np.concatenate([self._rows(hours, int(hour), some) for hour, some in zip(issued, ahead, strict=True)])
        truth = hours.values[(issued[:, None] + ahead).ravel()]
        known = ~np.isnan(truth)
        self.models = [
            lightgbm.LGBMRegressor(
                objective="quantile", alpha=alpha, n_estimators=200, random_state=seed, n_jobs=1, verbose=-1
            ).fit(rows[known], truth[known])
            for alpha in (0.1, 0.5, 0.9)
        ]

    def quantiles(self, hours: HourlySeries, hour: int) -> Floats:
        """(169, 3)"""
        rows = self._rows(hours, hour, HORIZONS)
        return np.stack([model.predict(rows) for model in self.models], axis=1)

    def __call__(self, hours: HourlySeries, hour: int) -> Floats:
        return self.quantiles(hours, hour)[:, 1]

    def _rows(self, hours: HourlySeries, hour: int, ahead: Ints) -> Floats:
        lags = np.tile(self.values[hour - np.array(LAG_HOURS)], (len(ahead), 1))
        local = hours.local_hours[hour + ahead]
        weeks = self.values[hour - 4 * WEEK_HOURS : hour].reshape(4, WEEK_HOURS)
        usual = np.median(weeks, axis=0)[ahead % WEEK_HOURS]
        slots = week_slots(local)
        off = hours.calendar.holiday_mask(np.arange(local.min(), local.max() + 1))[local - local.min()]
        told = [usual, weeks[-1][ahead % WEEK_HOURS], slots % 24, slots // 24, off, ahead]
        return np.concatenate([lags, np.stack(told, axis=1)], axis=1)


def seasonal_trend(hours: HourlySeries, hour: int) -> Floats:
    """MSTL (Bandara, Hyndman and Bergmeir, 2021) of eight weeks: a day, a week, and AutoETS for what is left."""
    from statsforecast.models import MSTL, AutoETS

    model = MSTL(season_length=[24, WEEK_HOURS], trend_forecaster=AutoETS(model="ZZN"))
    return np.asarray(model.forecast(fill_gaps(hours.values[hour - 8 * WEEK_HOURS : hour]), FORECAST_HOURS)["mean"])


SIMPLE_BASELINES: dict[str, Baseline] = {
    "last value": last_value,
    "previous week": previous_week,
    "mean of four weeks": mean_of_four_weeks,
    "hour-of-week profile, median of six weeks": hour_of_week_profile,
    "MSTL with AutoETS": seasonal_trend,
}
