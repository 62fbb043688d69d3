"""Selection of the active models: the operator's choice, and the profile in place of a degraded model."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from services.trainer.model_monitor import KEPT_SECONDS, ModelMonitor
from shared.contract.messages import (
    PROFILE_MODEL_ID,
    Command,
    LocalizedText,
    Message,
    ModelTrained,
    Prediction,
    Response,
    Score,
)
from shared.contract.status_codes import Problem, problem
from shared.contract.texts import technical
from shared.models.manifest import ModelError
from shared.models.model_messages import (
    KOREAN_CHANNEL_NAMES,
    OPERATOR_REASON,
    activation_text,
    to_model_trained,
)
from shared.models.training_result import TrainingResult
from shared.runtime.log import log


class Registry(Protocol):
    """Stored models, of which one a channel is active."""

    def active(self) -> Iterable[TrainingResult]:
        """Return the active models."""
        ...

    def activate(
        self,
        version: str,
        at: int,
        reason: LocalizedText,
        sensor: str = "",
        channel: str = "",
        *,
        demotion: bool = False,
    ) -> list[TrainingResult]:
        """Activate a stored version, or "profile". Raises ModelError; then nothing has changed."""
        ...


class HistoryReader(Protocol):
    """Queries on stored history."""

    def sensors(self) -> list[str]: ...
    def retired(self) -> set[str]: ...
    def last_scored(self, sensor: str) -> int | None: ...
    def scores(self, sensor: str, start: int, stop: int) -> Iterable[Score]: ...


class ModelSelector:
    """Activates models and reports them. No model changes while a training may promote its own."""

    def __init__(self, site: str, zone: ZoneInfo, registry: Registry, history: HistoryReader) -> None:
        self._site, self._zone, self._registry, self._history = site, zone, registry, history
        self._monitor = ModelMonitor()
        self._demoted: set[tuple[str, str]] = set()
        """Sensors and channels whose degraded model was replaced by the profile."""

    def problems(self) -> Sequence[Problem]:
        """Return a problem for each channel whose forecasts follow the profile because its model has degraded."""
        return [
            problem("model_deactivated", sensor=sensor, channel=channel, channel_ko=KOREAN_CHANNEL_NAMES[channel])
            for sensor, channel in sorted(self._demoted)
        ]

    def start(self) -> Iterator[Message]:
        """Load the scores of the last two weeks and report the active models."""
        for sensor in self._history.sensors():
            if newest := self._history.last_scored(sensor):
                self._monitor.add_scores(sensor, self._history.scores(sensor, newest - KEPT_SECONDS, newest + 1))
        retired = self._history.retired()
        yield from (self.to_message(model) for model in self._registry.active() if model.sensor not in retired)

    def to_message(self, result: TrainingResult) -> ModelTrained:
        """Return the message on a trained or activated model."""
        if result.promoted:
            (self._demoted.add if result.demotion else self._demoted.discard)((result.sensor, result.channel))
        return to_model_trained(result, self._site, self._zone)

    def on_use_command(self, command: Command, at: int) -> Iterator[Message]:
        """Activate the model that the operator has chosen, at `at` (epoch seconds)."""
        version, sensor, channel = (command.arguments.get(name, "") for name in ("id", "sensor", "channel"))
        try:
            activated = self._registry.activate(version, at, OPERATOR_REASON, sensor, channel)
        except (ModelError, OSError) as error:
            log("trainer", "model_activation_failed", logging.ERROR, text=str(error))
            text = error.text if isinstance(error, ModelError) else technical(error)
            yield Response(site=self._site, name="use", transaction=command.transaction, ok=False, text=text)
            return
        for result in activated:
            log("trainer", "model_activated", model=result.id, sensor=result.sensor, channel=result.channel)
            yield self.to_message(result)
        yield Response(
            site=self._site,
            name="use",
            transaction=command.transaction,
            ok=True,
            text=activation_text(version, activated),
        )

    def on_prediction(self, prediction: Prediction, busy: bool) -> Iterator[ModelTrained]:
        """Replace degraded models by the profile; while `busy`, this waits for the next night."""
        for degradation in self._monitor.on_prediction(prediction):
            sensor, channel, reason = degradation
            if not busy and (sensor, channel) not in self._demoted:
                log("trainer", "model_demoted", logging.WARNING, sensor=sensor, text=reason.en)
                at = int(prediction.issued_at.timestamp())
                activated = self._registry.activate(PROFILE_MODEL_ID, at, reason, sensor, channel, demotion=True)
                yield from map(self.to_message, activated)
