"""How good the forecasts of one sensor were, as their hours come, and the profile's beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.contract.messages import PROFILE, SCORED, Channel, Forecast, Score
from shared.domain.foreseen import Foreseen
from shared.domain.series import HOUR

WINDOW = 336
"""Hours of the two weeks that mean errors are told of."""
LATE = 168
"""Hours that a forecast waits for readings that come late."""
UNITS = 10_000


class Known(NamedTuple):
    """A scored forecast; absolute errors in ten-thousandths, whose sums are exact in any order."""

    error: int
    inside: bool
    usual: int | None
    """That of the profile."""


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
        self._known: dict[tuple[Channel, int], dict[int, Known]] = {}

    def recall(self, foreseen: Iterable[Foreseen], scored: Iterable[Score]) -> None:
        """Begins with what is stored."""
        self._waiting, self._known = {}, {}
        for one in foreseen:
            self._await(one)
        for score in scored:
            hour = int(score.at.timestamp()) // HOUR
            known = _known(score.error, score.inside, score.profile_error)
            self._known.setdefault((score.channel, score.horizon), {})[hour] = known

    def expect(self, hour: int, channel: Channel, forecast: Forecast) -> None:
        """Takes a forecast that is issued at an hour."""
        if not forecast.p50:
            return
        if forecast.model != PROFILE:
            self._usually[hour, channel] = self._usual_at_horizons(hour, channel)
        for k in SCORED:
            p10, p50, p90 = forecast.p10[k], forecast.p50[k], forecast.p90[k]
            if p10 is not None and p50 is not None and p90 is not None:
                self._await(Foreseen(channel, hour * HOUR, (hour + k) * HOUR, forecast.model, p10, p50, p90))

    def judge(self, hour: int) -> Iterator[Score]:
        """Scores all that is known by the start of an hour and was not scored before."""
        for at in sorted(one for one in self._waiting if one < hour):
            waiting = self._waiting[at]
            for (channel, horizon), foreseen in sorted(waiting.items()):
                came = round(self._mean(at, channel), 4)
                if at in self._known.get((channel, horizon), {}) or at < hour - LATE:
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
        of_horizon = self._known.setdefault((foreseen.channel, horizon), {})
        of_horizon[at] = _known(error, inside, profile_error)
        window = [one for hour, one in of_horizon.items() if at - WINDOW < hour <= at]
        errors, insides, usual = zip(*window, strict=True)
        known = [one for one in usual if one is not None]
        return Score(
            self._local(at * HOUR), foreseen.channel, horizon, foreseen.model, error, inside, profile_error,
            len(window), _mean(errors), round(sum(insides) / len(window), 4), _mean(known) if known else None,
        )  # fmt: skip

    def _profile_error(self, horizon: int, foreseen: Foreseen, came: float, error: float) -> float | None:
        if foreseen.model == PROFILE:
            return error
        issued = (foreseen.issued_at // HOUR, foreseen.channel)
        usually = self._usually[issued] if issued in self._usually else self._usual_at_horizons(*issued)
        expected = usually.get(horizon)
        return None if expected is None else round(expected - came, 4)

    def _usual_at_horizons(self, hour: int, channel: Channel) -> dict[int, float | None]:
        usual = self._usual(hour, channel).p50
        return {k: usual[k] for k in SCORED} if usual else {}

    def _forget(self, hour: int) -> None:
        for issued in [one for one in self._usually if one[0] < hour - max(SCORED) - LATE]:
            del self._usually[issued]
        for of_horizon in self._known.values():
            while of_horizon and (first := next(iter(of_horizon))) < hour - WINDOW - LATE:
                del of_horizon[first]


def _known(error: float, inside: bool, profile_error: float | None) -> Known:
    usual = None if profile_error is None else round(abs(profile_error) * UNITS)
    return Known(round(abs(error) * UNITS), inside, usual)


def _mean(errors: Sequence[int]) -> float:
    return round(sum(errors) / len(errors) / UNITS, 4)
