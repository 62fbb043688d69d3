"""Model monitoring: compares the errors of the active models with the profile's over two weeks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from services.trainer.diebold_mariano import diebold_mariano_p_value
from shared.contract.messages import (
    CHANNELS,
    PROFILE_MODEL_ID,
    SCORED_HORIZONS,
    Channel,
    LocalizedText,
    Prediction,
    Score,
)
from shared.contract.texts import localized
from shared.domain.series import DAY, HOUR, Floats

WINDOW_SECONDS, KEPT_SECONDS = 14 * DAY, 15 * DAY
"""Seconds over which a model is evaluated, and seconds of scores that are kept.

A model is evaluated only when it has forecast before the window, too.
"""
MIN_COVERAGE = 0.6
"""Share of the window's hours with a score that an evaluation at a horizon needs."""
SIGNIFICANCE = 0.01
"""Significance level of a degradation; lower than a candidate's, since the test is repeated each night."""
EVALUATION_HOUR = 3
"""Local hour of the evaluation, once a day: each further test adds a chance of a false result."""


class Degradation(NamedTuple):
    """A model that has become worse than the profile."""

    sensor: str
    channel: Channel
    reason: LocalizedText


class ErrorPair(NamedTuple):
    """Absolute errors of a model and of the profile at one hour, in the channel's unit."""

    model: str
    model_error: float
    profile_error: float


class ModelMonitor:
    """Keeps the scores of the last two weeks and evaluates the active models once a day."""

    def __init__(self) -> None:
        self._error_pairs: defaultdict[tuple[str, str, int], dict[int, ErrorPair]] = defaultdict(dict)
        """By (sensor, channel, horizon in hours), then by the start of the hour in epoch seconds."""

    def add_scores(self, sensor: str, scores: Iterable[Score]) -> None:
        """Add scores, from history or from a Prediction."""
        for score in scores:
            if score.profile_error is not None:
                pairs = self._error_pairs[sensor, score.channel, score.horizon]
                pairs[int(score.at.timestamp())] = ErrorPair(score.model, abs(score.error), abs(score.profile_error))

    def on_prediction(self, prediction: Prediction) -> Iterator[Degradation]:
        """Add the scores of a Prediction; once a day, yield the active models that have degraded."""
        self.add_scores(prediction.sensor, prediction.scores)
        if prediction.issued_at.hour != EVALUATION_HOUR:
            return
        now = int(prediction.issued_at.timestamp())
        for channel, model in zip(CHANNELS, (prediction.flow_rate.model, prediction.pressure.model), strict=True):
            self._drop_old(prediction.sensor, channel, now)
            if model != PROFILE_MODEL_ID and (
                reason := self._degradation_reason(prediction.sensor, channel, model, now)
            ):
                yield Degradation(prediction.sensor, channel, reason)

    def _degradation_reason(self, sensor: str, channel: str, model: str, now: int) -> LocalizedText | None:
        """Return why a model counts as degraded: worse overall and significantly at one horizon; else None."""
        ratios, p_values = {}, []
        for horizon in SCORED_HORIZONS:
            pairs = self._error_pairs[sensor, channel, horizon]
            of_model = {at: pair for at, pair in pairs.items() if pair.model == model}
            in_window = {at: pair for at, pair in of_model.items() if at >= now - WINDOW_SECONDS}
            if len(of_model) > len(in_window) >= MIN_COVERAGE * WINDOW_SECONDS / HOUR:
                model_errors, profile_errors = _error_arrays(in_window)
                ratios[horizon] = model_errors.mean() / max(profile_errors.mean(), 1e-12)
                days = (now - HOUR - np.array(list(in_window))) // DAY
                p_values.append(diebold_mariano_p_value(model_errors - profile_errors, days, horizon))
        if not ratios or sum(ratios.values()) <= len(ratios) or max(p_values) < 1 - SIGNIFICANCE / len(p_values):
            return None
        return localized(
            "{model} 모델이 2주 동안 프로파일보다 나빴습니다: 평균 오차 {ratios_ko}",
            "{model} was worse than the profile for two weeks: mean error {ratios} of its",
            model=model,
            ratios_ko=", ".join(f"{horizon}시간 앞 {ratio:.2f}배" for horizon, ratio in ratios.items()),
            ratios=", ".join(f"{ratio:.2f} at {horizon} h" for horizon, ratio in ratios.items()),
        )

    def _drop_old(self, sensor: str, channel: str, now: int) -> None:
        for horizon in SCORED_HORIZONS:
            pairs = self._error_pairs[sensor, channel, horizon]
            for at in [at for at in pairs if at < now - KEPT_SECONDS]:
                del pairs[at]


def _error_arrays(pairs: dict[int, ErrorPair]) -> tuple[Floats, Floats]:
    model_errors = np.array([pair.model_error for pair in pairs.values()])
    return model_errors, np.array([pair.profile_error for pair in pairs.values()])
