"""Which model serves: told at the start, chosen by the operator, put aside when it is worse than the profile."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Protocol
from zoneinfo import ZoneInfo

from services.trainer.model_monitor import DEGRADED_REASON, KEPT_SECONDS, ModelMonitor
from services.trainer.training_protocol import TrainingResult
from shared.contract.messages import PROFILE_MODEL_ID, Command, Message, ModelTrained, Prediction, Response, Score
from shared.models.manifest import ModelError
from shared.models.model_messages import OPERATOR_REASON, activation_text, to_model_trained
from shared.runtime.log import log


class Registry(Protocol):
    """The kept models."""

    def active(self) -> Iterable[TrainingResult]:
        """What serves."""
        ...

    def activate(self, version: str, at: int, reason: str, sensor: str = "", channel: str = "") -> list[TrainingResult]:
        """Puts a kept version, or "profile", into use. Raises ModelError, and then nothing has changed."""
        ...


class HistoryReader(Protocol):
    """What is read of stored history."""

    def sensors(self) -> list[str]: ...
    def last_scored(self, sensor: str) -> int | None: ...
    def scores(self, sensor: str, start: int, stop: int) -> Iterable[Score]: ...


class ModelSelector:
    """The trainer's knowledge of what serves. Nothing may be exchanged while a training is about to promote its own."""

    def __init__(self, site: str, zone: ZoneInfo, registry: Registry, history: HistoryReader) -> None:
        self._site, self._zone, self._registry, self._history = site, zone, registry, history
        self._monitor = ModelMonitor()
        self._demoted: set[tuple[str, str]] = set()
        """Sensors and channels whose model was put aside."""

    @property
    def status_text(self) -> str:
        """Which forecasts had to go back to the profile, until a model serves there again."""
        if not self._demoted:
            return ""
        names = ", ".join(" ".join(one) for one in sorted(self._demoted))
        return f"the forecasts of {names} follow the profile: their model was worse for two weeks"

    def start(self) -> Iterator[Message]:
        """Recalls the scores of the last two weeks; tells what serves."""
        for sensor in self._history.sensors():
            if newest := self._history.last_scored(sensor):
                self._monitor.add_scores(sensor, self._history.scores(sensor, newest - KEPT_SECONDS, newest + 1))
        yield from map(self.to_message, self._registry.active())

    def to_message(self, trained: TrainingResult) -> ModelTrained:
        """What was trained or put into use, as a message."""
        if trained.promoted:
            aside = trained.id == PROFILE_MODEL_ID and DEGRADED_REASON in trained.reason
            (self._demoted.add if aside else self._demoted.discard)((trained.sensor, trained.channel))
        return to_model_trained(trained, self._site, self._zone)

    def on_use_command(self, command: Command, at: int) -> Iterator[Message]:
        """Puts the operator's choice into use."""
        wanted, sensor, channel = (command.arguments.get(name, "") for name in ("id", "sensor", "channel"))
        try:
            used = self._registry.activate(wanted, at, OPERATOR_REASON, sensor, channel)
        except (ModelError, OSError) as error:
            log("trainer", "no other model is in use", logging.ERROR, text=str(error))
            yield Response(self._site, "use", command.transaction, False, str(error)[:4000])
            return
        for trained in used:
            log("trainer", "in use", model=trained.id, sensor=trained.sensor, channel=trained.channel)
            yield self.to_message(trained)
        yield Response(self._site, "use", command.transaction, True, activation_text(wanted, used)[:4000])

    def on_prediction(self, prediction: Prediction, busy: bool) -> Iterator[ModelTrained]:
        """Puts the profile in the place of models that became worse; while busy it waits for the next night."""
        for worse in self._monitor.on_prediction(prediction):
            if not busy and (worse.sensor, worse.channel) not in self._demoted:
                log("trainer", "the profile takes over", logging.WARNING, sensor=worse.sensor, text=worse.reason)
                at = int(prediction.issued_at.timestamp())
                yield from map(
                    self.to_message,
                    self._registry.activate(PROFILE_MODEL_ID, at, worse.reason, worse.sensor, worse.channel),
                )
