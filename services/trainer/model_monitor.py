"""Whether a model that serves has become worse than the profile, by two weeks of its scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from services.trainer.diebold_mariano import diebold_mariano_p_value
from shared.contract.messages import CHANNELS, PROFILE_MODEL_ID, SCORED_HORIZONS, Channel, Prediction, Score
from shared.domain.series import DAY, HOUR, Floats

WINDOW_SECONDS, KEPT_SECONDS = 14 * DAY, 15 * DAY
"""Seconds that a model is judged by, and those that are remembered: it must have forecast before them."""
MIN_COVERAGE = 0.6
"""Share of the hours of two weeks that must be known, so that it can be judged at a horizon."""
SIGNIFICANCE = 0.01
"""Chance of a mere accident below which it is worse; less than for a candidate, since it is judged each night."""
EVALUATION_HOUR = 3
"""Local hour at which it is judged, once a day: each look more is a chance more to be wrong."""
DEGRADED_REASON = "worse than the profile for two weeks"


class Degradation(NamedTuple):
    """A model that should not serve any more."""

    sensor: str
    channel: Channel
    reason: str


class ErrorPair(NamedTuple):
    """Absolute errors in one hour."""

    model: str
    model_error: float
    profile_error: float


class ModelMonitor:
    """Remembers what every Prediction says of those before it."""

    def __init__(self) -> None:
        self._error_pairs: defaultdict[tuple[str, str, int], dict[int, ErrorPair]] = defaultdict(dict)
        """(sensor, channel, horizon) to the start of an hour."""

    def add_scores(self, sensor: str, scores: Iterable[Score]) -> None:
        """Takes stored scores, or those that a Prediction brings."""
        for one in scores:
            if one.profile_error is not None:
                of_horizon = self._error_pairs[sensor, one.channel, one.horizon]
                of_horizon[int(one.at.timestamp())] = ErrorPair(one.model, abs(one.error), abs(one.profile_error))

    def on_prediction(self, prediction: Prediction) -> Iterator[Degradation]:
        """Once a day, the models that forecast and should not."""
        self.add_scores(prediction.sensor, prediction.scores)
        if prediction.issued_at.hour != EVALUATION_HOUR:
            return
        now = int(prediction.issued_at.timestamp())
        for channel, model in zip(CHANNELS, (prediction.flow_rate.model, prediction.pressure.model), strict=True):
            self._drop_old(prediction.sensor, channel, now)
            if model != PROFILE_MODEL_ID and (why := self._degradation_reason(prediction.sensor, channel, model, now)):
                yield Degradation(prediction.sensor, channel, why)

    def _degradation_reason(self, sensor: str, channel: str, model: str, now: int) -> str:
        """In words that a model is worse taken as a whole, and surely at one horizon; empty when it isn't."""
        ratios, chances = {}, []
        for hours in SCORED_HORIZONS:
            its = {at: one for at, one in self._error_pairs[sensor, channel, hours].items() if one.model == model}
            known = {at: one for at, one in its.items() if at >= now - WINDOW_SECONDS}
            if len(its) > len(known) >= MIN_COVERAGE * WINDOW_SECONDS / HOUR:
                own, usual = _errors(known)
                ratios[hours] = own.mean() / max(usual.mean(), 1e-12)
                chances.append(diebold_mariano_p_value(own - usual, (now - HOUR - np.array(list(known))) // DAY, hours))
        if not ratios or sum(ratios.values()) <= len(ratios) or max(chances) < 1 - SIGNIFICANCE / len(chances):
            return ""
        told = ", ".join(f"{ratio:.2f} at {hours} h" for hours, ratio in ratios.items())
        return f"{model} was {DEGRADED_REASON}: mean error {told} of its"

    def _drop_old(self, sensor: str, channel: str, now: int) -> None:
        for hours in SCORED_HORIZONS:
            of_horizon = self._error_pairs[sensor, channel, hours]
            for at in [at for at in of_horizon if at < now - KEPT_SECONDS]:
                del of_horizon[at]


def _errors(known: dict[int, ErrorPair]) -> tuple[Floats, Floats]:
    return np.array([one.model_error for one in known.values()]), np.array(
        [one.profile_error for one in known.values()]
    )
