"""What others forecast a week with, from simple rules to what is commonly taken for it; each gives 169 values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.trainer.hours import Hours
from shared.domain.profile import AHEAD
from shared.domain.series import Floats, Ints
from shared.domain.weeks import WEEK_HOURS, slots_of

Rival = Callable[[Hours, int], Floats]
"""Hours of a channel, and the index of the hour at whose start it forecasts; gives (169,) in the channel's unit."""
LAGS = (*range(1, 25), 48, 72, 96, 120, 144, 168, 336)
"""Hours back that LightGBM is told, from the hour of issue."""
LEARNED = 9000
"""Hours that are learned from at most."""
K = np.arange(AHEAD)


def last_value(hours: Hours, hour: int) -> Floats:
    return np.full(AHEAD, filled(hours.values[:hour])[-1])


def previous_week(hours: Hours, hour: int) -> Floats:
    return filled(hours.values[:hour])[hour - WEEK_HOURS :][K % WEEK_HOURS]


def mean_of_four_weeks(hours: Hours, hour: int) -> Floats:
    weeks = hours.values[hour - 4 * WEEK_HOURS : hour].reshape(4, WEEK_HOURS)
    return _or_filled(weeks, np.nanmean, hours, hour)


def hour_of_week_profile(hours: Hours, hour: int) -> Floats:
    """Median of six weeks."""
    weeks = hours.values[hour - 6 * WEEK_HOURS : hour].reshape(6, WEEK_HOURS)
    return _or_filled(weeks, np.nanmedian, hours, hour)


def _or_filled(weeks: Floats, common: Callable[..., Floats], hours: Hours, hour: int) -> Floats:
    unknown = np.isnan(weeks).all(axis=0)
    found = common(np.where(unknown, 0.0, weeks), axis=0)
    found[unknown] = previous_week(hours, hour)[:WEEK_HOURS][unknown]
    return found[K % WEEK_HOURS]


def filled(values: Floats) -> Floats:
    """Unknown hours become those of a week before, or else the next known ones."""
    found = values.copy()
    for hour in np.flatnonzero(np.isnan(found)):
        found[hour] = found[hour - WEEK_HOURS] if hour >= WEEK_HOURS else np.nan
    known = np.flatnonzero(~np.isnan(found))
    return np.asarray(np.interp(np.arange(len(found)), known, found[known]))


class LightGbm:
    """LightGBM, untuned: one model for all horizons, told lags, the hour of the week, the horizon and the profile."""

    def __init__(self, hours: Hours, stop: int, every: int = 3, seed: int = 1) -> None:
        import lightgbm

        self.values = filled(hours.values)
        first = max(6 * WEEK_HOURS, stop - LEARNED)
        issued = np.arange(first, stop - AHEAD, every)
        ahead = np.random.default_rng(seed).integers(0, AHEAD, (len(issued), 12))
        rows = np.concatenate([self._rows(hours, int(hour), some) for hour, some in zip(issued, ahead, strict=True)])
        truth = hours.values[(issued[:, None] + ahead).ravel()]
        known = ~np.isnan(truth)
        self.models = [
            lightgbm.LGBMRegressor(
                objective="quantile", alpha=alpha, n_estimators=200, random_state=seed, n_jobs=1, verbose=-1
            ).fit(rows[known], truth[known])
            for alpha in (0.1, 0.5, 0.9)
        ]

    def quantiles(self, hours: Hours, hour: int) -> Floats:
        """(169, 3)"""
        rows = self._rows(hours, hour, K)
        return np.stack([model.predict(rows) for model in self.models], axis=1)

    def __call__(self, hours: Hours, hour: int) -> Floats:
        return self.quantiles(hours, hour)[:, 1]

    def _rows(self, hours: Hours, hour: int, ahead: Ints) -> Floats:
        lags = np.tile(self.values[hour - np.array(LAGS)], (len(ahead), 1))
        local = hours.local[hour + ahead]
        weeks = self.values[hour - 4 * WEEK_HOURS : hour].reshape(4, WEEK_HOURS)
        usual = np.median(weeks, axis=0)[ahead % WEEK_HOURS]
        slots = slots_of(local)
        off = hours.calendar.off(np.arange(local.min(), local.max() + 1))[local - local.min()]
        told = [usual, weeks[-1][ahead % WEEK_HOURS], slots % 24, slots // 24, off, ahead]
        return np.concatenate([lags, np.stack(told, axis=1)], axis=1)


def seasonal_trend(hours: Hours, hour: int) -> Floats:
    """MSTL (Bandara, Hyndman and Bergmeir, 2021) of eight weeks: a day, a week, and AutoETS for what is left."""
    from statsforecast.models import MSTL, AutoETS

    model = MSTL(season_length=[24, WEEK_HOURS], trend_forecaster=AutoETS(model="ZZN"))
    return np.asarray(model.forecast(filled(hours.values[hour - 8 * WEEK_HOURS : hour]), AHEAD)["mean"])


SIMPLE: dict[str, Rival] = {
    "last value": last_value,
    "previous week": previous_week,
    "mean of four weeks": mean_of_four_weeks,
    "hour-of-week profile, median of six weeks": hour_of_week_profile,
    "MSTL with AutoETS": seasonal_trend,
}
