"""Which model serves: told at the start, chosen by the operator, put aside when it is worse than the profile."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Protocol
from zoneinfo import ZoneInfo

from services.forecaster.manifest import ModelError
from services.trainer.plan import Trained
from services.trainer.telling import BY_OPERATOR, in_use_now, told
from services.trainer.watch import REMEMBERED, WORSE, Watch
from shared.contract.messages import PROFILE_MODEL_ID, Command, Message, ModelTrained, Prediction, Response, Score
from shared.runtime.log import log


class Models(Protocol):
    """The kept models."""

    def in_use(self) -> Iterable[Trained]:
        """What serves."""
        ...

    def use(self, wanted: str, at: int, why: str, sensor: str = "", channel: str = "") -> list[Trained]:
        """Puts a kept version, or "profile", into use. Raises ModelError, and then nothing has changed."""
        ...


class Past(Protocol):
    """What is read of stored history."""

    def sensors(self) -> list[str]: ...
    def last_scored(self, sensor: str) -> int | None: ...
    def scores(self, sensor: str, start: int, stop: int) -> Iterable[Score]: ...


class Keeper:
    """The trainer's knowledge of what serves. Nothing may be exchanged while a training is about to promote its own."""

    def __init__(self, site: str, zone: ZoneInfo, shelf: Models, past: Past) -> None:
        self._site, self._zone, self._shelf, self._past = site, zone, shelf, past
        self._watch = Watch()
        self._aside: set[tuple[str, str]] = set()
        """Sensors and channels whose model was put aside."""

    @property
    def note(self) -> str:
        """Which forecasts had to go back to the profile, until a model serves there again."""
        if not self._aside:
            return ""
        names = ", ".join(" ".join(one) for one in sorted(self._aside))
        return f"the forecasts of {names} follow the profile: their model was worse for two weeks"

    def start(self) -> Iterator[Message]:
        """Recalls the scores of the last two weeks; tells what serves."""
        for sensor in self._past.sensors():
            if newest := self._past.last_scored(sensor):
                self._watch.recall(sensor, self._past.scores(sensor, newest - REMEMBERED, newest + 1))
        yield from map(self.tell, self._shelf.in_use())

    def tell(self, trained: Trained) -> ModelTrained:
        """What was trained or put into use, as a message."""
        if trained.promoted:
            aside = trained.id == PROFILE_MODEL_ID and WORSE in trained.reason
            (self._aside.add if aside else self._aside.discard)((trained.sensor, trained.channel))
        return told(trained, self._site, self._zone)

    def choose(self, command: Command, at: int) -> Iterator[Message]:
        """Puts the operator's choice into use."""
        wanted, sensor, channel = (command.arguments.get(name, "") for name in ("id", "sensor", "channel"))
        try:
            used = self._shelf.use(wanted, at, BY_OPERATOR, sensor, channel)
        except (ModelError, OSError) as error:
            log("trainer", "no other model is in use", logging.ERROR, text=str(error))
            yield Response(self._site, "use", command.transaction, False, str(error)[:4000])
            return
        for trained in used:
            log("trainer", "in use", model=trained.id, sensor=trained.sensor, channel=trained.channel)
            yield self.tell(trained)
        yield Response(self._site, "use", command.transaction, True, in_use_now(wanted, used)[:4000])

    def judge(self, prediction: Prediction, busy: bool) -> Iterator[ModelTrained]:
        """Puts the profile in the place of models that became worse; while busy it waits for the next night."""
        for worse in self._watch.take(prediction):
            if not busy and (worse.sensor, worse.channel) not in self._aside:
                log("trainer", "the profile takes over", logging.WARNING, sensor=worse.sensor, text=worse.why)
                at = int(prediction.issued_at.timestamp())
                yield from map(self.tell, self._shelf.use(PROFILE_MODEL_ID, at, worse.why, worse.sensor, worse.channel))
