"""How good the forecasts of one sensor were, as their hours come, and the profile's beside them."""

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
"""Hours of the two weeks that mean errors are told of."""
LATE_HOURS = 168
"""Hours that a forecast waits for readings that come late."""
KEPT_HOURS = WINDOW_HOURS + LATE_HOURS + 1
"""Hours of which a score that comes late can still need the figures."""
ERROR_RESOLUTION, MAX_ERROR = 10_000, 10**15
"""Parts of a channel's unit that errors are counted in, and as many as two weeks of them can be added up."""
UNKNOWN_ERROR = -1


class RollingErrors:
    """Scored forecasts of the last weeks at one horizon, in whatever order they come.

    Absolute errors are kept in ten-thousandths, whose sums are exact.
    """

    def __init__(self) -> None:
        self._hours = np.full(KEPT_HOURS, UNKNOWN_ERROR)
        self._errors = np.zeros((3, KEPT_HOURS), dtype=np.int64)
        """Error, 1 inside p10 to p90, and the profile's error or UNKNOWN."""

    def __contains__(self, hour: int) -> bool:
        return bool(self._hours[hour % KEPT_HOURS] == hour)

    def add(self, hour: int, error: float, inside: bool, profile_error: float | None) -> None:
        """Takes the errors of a forecast and of the profile."""
        self._hours[hour % KEPT_HOURS] = hour
        self._errors[:, hour % KEPT_HOURS] = (
            _to_units(error),
            inside,
            UNKNOWN_ERROR if profile_error is None else _to_units(profile_error),
        )

    def means(self, hour: int) -> tuple[int, float, float, float | None]:
        """Of the two weeks up to an hour: how many, mean error, share inside, and the profile's mean error."""
        errors, inside, usual = self._errors[:, (self._hours > hour - WINDOW_HOURS) & (self._hours <= hour)]
        usual = usual[usual != UNKNOWN_ERROR]
        share = round(int(inside.sum()) / len(inside), 4)
        return len(errors), _mean_error(errors), share, _mean_error(usual) if len(usual) else None


class ForecastScorer:
    """Forecasts that wait for their hour, and those of the last weeks that had it; hours are epoch seconds // 3600."""

    def __init__(
        self,
        mean: Callable[[int, Channel], float],
        usual: Callable[[int, Channel], Forecast],
        local: Callable[[int], datetime],
    ) -> None:
        """`mean` of an hour, NaN while unknown; `usual`: what the profile would forecast at the start of an hour."""
        self._mean, self._profile_forecast_at, self._local = mean, usual, local
        self._pending: dict[int, dict[tuple[Channel, int], ForecastPoint]] = {}
        self._profile_forecasts: dict[tuple[int, Channel], dict[int, float | None]] = {}
        """What the profile would have forecast, by hour of issue and horizon; nothing where it could not."""
        self._rolling: defaultdict[tuple[Channel, int], RollingErrors] = defaultdict(RollingErrors)

    def load_stored(self, points: Iterable[ForecastPoint], scores: Iterable[Score]) -> None:
        """Begins with what is stored."""
        self._pending, self._rolling = {}, defaultdict(RollingErrors)
        for one in points:
            self._enqueue(one)
        for score in scores:
            hour = int(score.at.timestamp()) // HOUR
            self._rolling[score.channel, score.horizon].add(hour, score.error, score.inside, score.profile_error)

    def add_forecast(self, hour: int, channel: Channel, forecast: Forecast) -> None:
        """Takes a forecast that is issued at an hour."""
        if not forecast.p50:
            return
        if forecast.model != PROFILE_MODEL_ID:
            self._profile_forecasts[hour, channel] = self._profile_at_horizons(hour, channel)
        for k in SCORED_HORIZONS:
            p10, p50, p90 = forecast.p10[k], forecast.p50[k], forecast.p90[k]
            if p10 is not None and p50 is not None and p90 is not None:
                self._enqueue(ForecastPoint(channel, hour * HOUR, (hour + k) * HOUR, forecast.model, p10, p50, p90))

    def score_due(self, hour: int) -> Iterator[Score]:
        """Scores all that is known by the start of an hour and was not scored before."""
        for at in sorted(one for one in self._pending if one < hour):
            waiting = self._pending[at]
            for (channel, horizon), foreseen in sorted(waiting.items()):
                came = round(self._mean(at, channel), 4)
                if at in self._rolling[channel, horizon] or at < hour - LATE_HOURS:
                    del waiting[channel, horizon]
                elif not math.isnan(came):
                    del waiting[channel, horizon]
                    yield self._score(at, horizon, foreseen, came)
            if not waiting:
                del self._pending[at]
        self._drop_old(hour)

    def _enqueue(self, point: ForecastPoint) -> None:
        key = (point.channel, (point.at - point.issued_at) // HOUR)
        self._pending.setdefault(point.at // HOUR, {})[key] = point

    def _score(self, at: int, horizon: int, foreseen: ForecastPoint, came: float) -> Score:
        error, inside = round(foreseen.p50 - came, 4), foreseen.p10 <= came <= foreseen.p90
        profile_error = self._profile_error(horizon, foreseen, came, error)
        of_horizon = self._rolling[foreseen.channel, horizon]
        of_horizon.add(at, error, inside, profile_error)
        return Score(
            self._local(at * HOUR), foreseen.channel, horizon, foreseen.model, error, inside, profile_error,
            *of_horizon.means(at),
        )  # fmt: skip

    def _profile_error(self, horizon: int, foreseen: ForecastPoint, came: float, error: float) -> float | None:
        if foreseen.model == PROFILE_MODEL_ID:
            return error
        issued = (foreseen.issued_at // HOUR, foreseen.channel)
        usually = (
            self._profile_forecasts[issued] if issued in self._profile_forecasts else self._profile_at_horizons(*issued)
        )
        expected = usually.get(horizon)
        return None if expected is None else round(expected - came, 4)

    def _profile_at_horizons(self, hour: int, channel: Channel) -> dict[int, float | None]:
        usual = self._profile_forecast_at(hour, channel).p50
        return {k: usual[k] for k in SCORED_HORIZONS} if usual else {}

    def _drop_old(self, hour: int) -> None:
        for issued in [one for one in self._profile_forecasts if one[0] < hour - max(SCORED_HORIZONS) - LATE_HOURS]:
            del self._profile_forecasts[issued]


def _to_units(error: float) -> int:
    return min(round(abs(error) * ERROR_RESOLUTION), MAX_ERROR)


def _mean_error(errors: Ints) -> float:
    return round(int(errors.sum()) / len(errors) / ERROR_RESOLUTION, 4)
