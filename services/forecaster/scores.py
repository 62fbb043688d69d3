"""How good the forecasts of one sensor were, as their hours come, and the profile's beside them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import numpy as np

from shared.contract.messages import PROFILE_MODEL_ID, SCORED_HORIZONS, Channel, Forecast, Score
from shared.domain.foreseen import Foreseen
from shared.domain.series import HOUR, Ints

WINDOW = 336
"""Hours of the two weeks that mean errors are told of."""
LATE = 168
"""Hours that a forecast waits for readings that come late."""
REMEMBERED = WINDOW + LATE + 1
"""Hours of which a score that comes late can still need the figures."""
UNITS, MOST = 10_000, 10**15
"""Parts of a channel's unit that errors are counted in, and as many as two weeks of them can be added up."""
UNKNOWN = -1


class Window:
    """Scored forecasts of the last weeks at one horizon, in whatever order they come.

    Absolute errors are kept in ten-thousandths, whose sums are exact.
    """

    def __init__(self) -> None:
        self._hours = np.full(REMEMBERED, UNKNOWN)
        self._figures = np.zeros((3, REMEMBERED), dtype=np.int64)
        """Error, 1 inside p10 to p90, and the profile's error or UNKNOWN."""

    def __contains__(self, hour: int) -> bool:
        return bool(self._hours[hour % REMEMBERED] == hour)

    def put(self, hour: int, error: float, inside: bool, usual: float | None) -> None:
        """Takes the errors of a forecast and of the profile."""
        self._hours[hour % REMEMBERED] = hour
        self._figures[:, hour % REMEMBERED] = _units(error), inside, UNKNOWN if usual is None else _units(usual)

    def means(self, hour: int) -> tuple[int, float, float, float | None]:
        """Of the two weeks up to an hour: how many, mean error, share inside, and the profile's mean error."""
        errors, inside, usual = self._figures[:, (self._hours > hour - WINDOW) & (self._hours <= hour)]
        usual = usual[usual != UNKNOWN]
        share = round(int(inside.sum()) / len(inside), 4)
        return len(errors), _mean(errors), share, _mean(usual) if len(usual) else None


class Scores:
    """Forecasts that wait for their hour, and those of the last weeks that had it; hours are epoch seconds // 3600."""

    def __init__(
        self,
        mean: Callable[[int, Channel], float],
        usual: Callable[[int, Channel], Forecast],
        local: Callable[[int], datetime],
    ) -> None:
        """`mean` of an hour, NaN while unknown; `usual`: what the profile would forecast at the start of an hour."""
        self._mean, self._usual, self._local = mean, usual, local
        self._waiting: dict[int, dict[tuple[Channel, int], Foreseen]] = {}
        self._usually: dict[tuple[int, Channel], dict[int, float | None]] = {}
        """What the profile would have forecast, by hour of issue and horizon; nothing where it could not."""
        self._known: defaultdict[tuple[Channel, int], Window] = defaultdict(Window)

    def recall(self, foreseen: Iterable[Foreseen], scored: Iterable[Score]) -> None:
        """Begins with what is stored."""
        self._waiting, self._known = {}, defaultdict(Window)
        for one in foreseen:
            self._await(one)
        for score in scored:
            hour = int(score.at.timestamp()) // HOUR
            self._known[score.channel, score.horizon].put(hour, score.error, score.inside, score.profile_error)

    def expect(self, hour: int, channel: Channel, forecast: Forecast) -> None:
        """Takes a forecast that is issued at an hour."""
        if not forecast.p50:
            return
        if forecast.model != PROFILE_MODEL_ID:
            self._usually[hour, channel] = self._usual_at_horizons(hour, channel)
        for k in SCORED_HORIZONS:
            p10, p50, p90 = forecast.p10[k], forecast.p50[k], forecast.p90[k]
            if p10 is not None and p50 is not None and p90 is not None:
                self._await(Foreseen(channel, hour * HOUR, (hour + k) * HOUR, forecast.model, p10, p50, p90))

    def judge(self, hour: int) -> Iterator[Score]:
        """Scores all that is known by the start of an hour and was not scored before."""
        for at in sorted(one for one in self._waiting if one < hour):
            waiting = self._waiting[at]
            for (channel, horizon), foreseen in sorted(waiting.items()):
                came = round(self._mean(at, channel), 4)
                if at in self._known[channel, horizon] or at < hour - LATE:
                    del waiting[channel, horizon]
                elif not math.isnan(came):
                    del waiting[channel, horizon]
                    yield self._score(at, horizon, foreseen, came)
            if not waiting:
                del self._waiting[at]
        self._forget(hour)

    def _await(self, foreseen: Foreseen) -> None:
        key = (foreseen.channel, (foreseen.at - foreseen.issued_at) // HOUR)
        self._waiting.setdefault(foreseen.at // HOUR, {})[key] = foreseen

    def _score(self, at: int, horizon: int, foreseen: Foreseen, came: float) -> Score:
        error, inside = round(foreseen.p50 - came, 4), foreseen.p10 <= came <= foreseen.p90
        profile_error = self._profile_error(horizon, foreseen, came, error)
        of_horizon = self._known[foreseen.channel, horizon]
        of_horizon.put(at, error, inside, profile_error)
        return Score(
            self._local(at * HOUR), foreseen.channel, horizon, foreseen.model, error, inside, profile_error,
            *of_horizon.means(at),
        )  # fmt: skip

    def _profile_error(self, horizon: int, foreseen: Foreseen, came: float, error: float) -> float | None:
        if foreseen.model == PROFILE_MODEL_ID:
            return error
        issued = (foreseen.issued_at // HOUR, foreseen.channel)
        usually = self._usually[issued] if issued in self._usually else self._usual_at_horizons(*issued)
        expected = usually.get(horizon)
        return None if expected is None else round(expected - came, 4)

    def _usual_at_horizons(self, hour: int, channel: Channel) -> dict[int, float | None]:
        usual = self._usual(hour, channel).p50
        return {k: usual[k] for k in SCORED_HORIZONS} if usual else {}

    def _forget(self, hour: int) -> None:
        for issued in [one for one in self._usually if one[0] < hour - max(SCORED_HORIZONS) - LATE]:
            del self._usually[issued]


def _units(error: float) -> int:
    return min(round(abs(error) * UNITS), MOST)


def _mean(errors: Ints) -> float:
    return round(int(errors.sum()) / len(errors) / UNITS, 4)
