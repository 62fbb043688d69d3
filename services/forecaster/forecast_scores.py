"""Scores of one sensor's forecasts, computed when their hours are complete, beside those of the profile."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import numpy as np

from shared.contract.messages import PROFILE_MODEL_ID, SCORED_HORIZONS, Channel, Forecast, Score
from shared.domain.forecast_point import ForecastPoint
from shared.domain.series import HOUR, Ints

WINDOW_HOURS = 336
"""Hours of the two weeks over which mean errors are computed."""
LATE_HOURS = 168
"""Hours that a forecast waits for late readings."""
KEPT_HOURS = WINDOW_HOURS + LATE_HOURS + 1
"""Hours of errors that a late score can still need."""
ERROR_RESOLUTION, MAX_ERROR = 10_000, 10**15
"""Error steps per unit of the channel, and the largest error in steps, of which two weeks can be added up."""
UNKNOWN_ERROR = -1


class RollingErrors:
    """Errors of the last weeks at one horizon, added in any order.

    Absolute errors are integers in ten-thousandths of the unit, whose sums are exact.
    """

    def __init__(self) -> None:
        self._hours = np.full(KEPT_HOURS, -1)
        self._errors = np.zeros((3, KEPT_HOURS), dtype=np.int64)
        """Absolute error; 1 inside p10 to p90; the profile's absolute error or UNKNOWN_ERROR."""

    def __contains__(self, hour: int) -> bool:
        return bool(self._hours[hour % KEPT_HOURS] == hour)

    def add(self, hour: int, error: float, inside: bool, profile_error: float | None) -> None:
        """Add the errors of a forecast and of the profile at an hour."""
        slot = hour % KEPT_HOURS
        profile_steps = UNKNOWN_ERROR if profile_error is None else _to_steps(profile_error)
        self._hours[slot] = hour
        self._errors[:, slot] = _to_steps(error), inside, profile_steps

    def means(self, hour: int) -> tuple[int, float, float, float | None]:
        """Return count, mean error, coverage and the profile's mean error of the two weeks up to an hour."""
        in_window = (self._hours > hour - WINDOW_HOURS) & (self._hours <= hour)
        errors, inside, profile_errors = self._errors[:, in_window]
        profile_errors = profile_errors[profile_errors != UNKNOWN_ERROR]
        coverage = round(int(inside.sum()) / len(inside), 4)
        return len(errors), _mean_error(errors), coverage, _mean_error(profile_errors) if len(profile_errors) else None


class ForecastScorer:
    """Forecasts that wait for their hour, and the errors of the last weeks; hours are epoch seconds // 3600."""

    def __init__(
        self,
        mean: Callable[[int, Channel], float],
        profile_forecast_at: Callable[[int, Channel], Forecast],
        local_time: Callable[[int], datetime],
    ) -> None:
        """`mean` of an hour, NaN while unknown; `profile_forecast_at`: the profile's forecast issued at an hour."""
        self._mean, self._profile_forecast_at, self._local_time = mean, profile_forecast_at, local_time
        self._pending: dict[int, dict[tuple[Channel, int], ForecastPoint]] = {}
        self._profile_forecasts: dict[tuple[int, Channel], dict[int, float | None]] = {}
        """The profile's p50 by hour of issue and channel, then by horizon; empty where there was no profile."""
        self._rolling: defaultdict[tuple[Channel, int], RollingErrors] = defaultdict(RollingErrors)

    def load_stored(self, points: Iterable[ForecastPoint], scores: Iterable[Score]) -> None:
        """Replace the state by stored forecasts and scores."""
        self._pending, self._rolling = {}, defaultdict(RollingErrors)
        for point in points:
            self._enqueue(point)
        for score in scores:
            hour = int(score.at.timestamp()) // HOUR
            self._rolling[score.channel, score.horizon].add(hour, score.error, score.inside, score.profile_error)

    def add_forecast(self, hour: int, channel: Channel, forecast: Forecast) -> None:
        """Add a forecast that is issued at an hour."""
        if not forecast.p50:
            return
        if forecast.model != PROFILE_MODEL_ID:
            self._profile_forecasts[hour, channel] = self._profile_at_horizons(hour, channel)
        for horizon in SCORED_HORIZONS:
            p10, p50, p90 = forecast.p10[horizon], forecast.p50[horizon], forecast.p90[horizon]
            if p10 is not None and p50 is not None and p90 is not None:
                at = (hour + horizon) * HOUR
                self._enqueue(ForecastPoint(channel, hour * HOUR, at, forecast.model, p10, p50, p90))

    def score_due(self, hour: int) -> Iterator[Score]:
        """Yield the scores of all forecasts whose hour is known by the start of `hour` and has no score yet."""
        for at in sorted(pending_hour for pending_hour in self._pending if pending_hour < hour):
            pending = self._pending[at]
            for (channel, horizon), point in sorted(pending.items()):
                actual = round(self._mean(at, channel), 4)
                if at in self._rolling[channel, horizon] or at < hour - LATE_HOURS:
                    del pending[channel, horizon]
                elif not math.isnan(actual):
                    del pending[channel, horizon]
                    yield self._score(at, horizon, point, actual)
            if not pending:
                del self._pending[at]
        self._drop_old(hour)

    def _enqueue(self, point: ForecastPoint) -> None:
        key = (point.channel, (point.at - point.issued_at) // HOUR)
        self._pending.setdefault(point.at // HOUR, {})[key] = point

    def _score(self, hour: int, horizon: int, point: ForecastPoint, actual: float) -> Score:
        error, inside = round(point.p50 - actual, 4), point.p10 <= actual <= point.p90
        profile_error = self._profile_error(horizon, point, actual, error)
        rolling = self._rolling[point.channel, horizon]
        rolling.add(hour, error, inside, profile_error)
        hours, mae, coverage, profile_mae = rolling.means(hour)
        return Score(
            at=self._local_time(hour * HOUR),
            channel=point.channel,
            horizon=horizon,
            model=point.model,
            error=error,
            inside=inside,
            profile_error=profile_error,
            hours=hours,
            mae=mae,
            coverage=coverage,
            profile_mae=profile_mae,
        )

    def _profile_error(self, horizon: int, point: ForecastPoint, actual: float, error: float) -> float | None:
        if point.model == PROFILE_MODEL_ID:
            return error
        issue = (point.issued_at // HOUR, point.channel)
        stored = self._profile_forecasts.get(issue)
        by_horizon = self._profile_at_horizons(*issue) if stored is None else stored
        expected = by_horizon.get(horizon)
        return None if expected is None else round(expected - actual, 4)

    def _profile_at_horizons(self, hour: int, channel: Channel) -> dict[int, float | None]:
        p50 = self._profile_forecast_at(hour, channel).p50
        return {horizon: p50[horizon] for horizon in SCORED_HORIZONS} if p50 else {}

    def _drop_old(self, hour: int) -> None:
        oldest = hour - max(SCORED_HORIZONS) - LATE_HOURS
        for issue in [issue for issue in self._profile_forecasts if issue[0] < oldest]:
            del self._profile_forecasts[issue]


def _to_steps(error: float) -> int:
    return min(round(abs(error) * ERROR_RESOLUTION), MAX_ERROR)


def _mean_error(errors: Ints) -> float:
    return round(int(errors.sum()) / len(errors) / ERROR_RESOLUTION, 4)
