"""When to train, and what to tell of it; the training itself is a runner's work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from services.trainer.model_selection import ModelSelector
from services.trainer.runner import Runner
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingEnded,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
    TrainingResult,
)
from shared.contract.messages import (
    CHANNELS,
    Command,
    Message,
    ModelTrained,
    Prediction,
    Progress,
    Response,
    Tick,
)
from shared.domain.event_clock import TICK_CLOCK_TOLERANCE_SECONDS
from shared.runtime.log import log
from shared.settings import Training

NIGHTLY_CHECK_HOUR = 3
"""Local hour at which it looks whether there is something to train."""
RETRY_AFTER_FAILURE, RETRY_AFTER_REFUSAL = timedelta(days=1), timedelta(days=7)
"""After a training failed, and after a candidate was refused: then there is a week more to learn from and to judge."""
IMPORT_CLOCK_TOLERANCE = timedelta(minutes=2)
"""Messages carry full minutes, so an import may seem a little older than it is."""


class Trainer:
    """Trains at every start, yearly, after an import and on command; each night looks again while data was missing."""

    name: ClassVar[str] = "trainer"
    consumes: ClassVar[tuple[type[Message], ...]] = (Tick, Progress, Command, Prediction)
    produces: ClassVar[tuple[type[Message], ...]] = (ModelTrained, Progress, Response)
    commands: ClassVar[tuple[str, ...]] = ("train", "use")

    def __init__(
        self,
        site: str,
        zone: ZoneInfo,
        training: Training,
        runner: Runner,
        now: datetime,
        keeper: ModelSelector,
    ) -> None:
        """`now` is when it was started."""
        self.site = site
        self.zone = zone
        self.training = training
        self.runner = runner
        self.now = now.astimezone(zone)
        self.selector = keeper
        self.running: TrainingRequest | None = None
        self.queued: TrainingRequest | None = None
        self.waiting_for_data = False
        self.imported_at: datetime | None = None
        self.started_at = self.now
        self.last_night = self._night_of(self.now)
        self.retry_on: date | None = None
        """The night on which a training that failed or was of no use is followed by the next one."""
        self.pending_choices: list[Command] = []
        """Models to be put into use when the present training has ended."""
        self.has_tick = False
        """Whether one has come: before, the time is only that of the machine."""

    def start(self) -> Iterator[Message]:
        yield from self.selector.start()
        if self.training.automatic:
            yield from self._request(TrainingRequest(self._now_seconds()))

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Tick):
            yield from self._on_tick(message.at + timedelta(minutes=1))
        elif isinstance(message, Command) and message.name == "train":
            yield self._on_train_command(message)
        elif isinstance(message, Command) and message.name == "use":
            yield from self._on_use_command(message)
        elif isinstance(message, Prediction):
            yield from self._on_prediction(message)
        elif isinstance(message, Progress) and message.job == "import" and message.step == message.of > 0:
            self.imported_at = message.at
            yield from self._on_import_done()
        yield from self._drain_records()

    def end_batch(self) -> Iterator[Message]:
        return self._drain_records()

    def _night_of(self, now: datetime) -> date:
        """The last date whose 03:00 has come."""
        return (now.astimezone(self.zone) - timedelta(hours=NIGHTLY_CHECK_HOUR)).date()

    def _on_tick(self, now: datetime) -> Iterator[Message]:
        """Takes the time of a tick; a start on a wrong clock trained on the wrong weeks, and is done again."""
        wrong = not self.has_tick and abs(now - self.now) > timedelta(seconds=TICK_CLOCK_TOLERANCE_SECONDS)
        self.has_tick = True
        self.now = now if wrong else max(self.now, now)
        if wrong:
            self.last_night = self._night_of(self.now)
            if self.training.automatic:
                yield from self._request(TrainingRequest(self._now_seconds()))
        yield from self._check_nightly()

    def _check_nightly(self) -> Iterator[Message]:
        """A year's first day is believed only when the night before was seen to come, too."""
        before, self.last_night = self.last_night, self._night_of(self.now)
        if self.last_night == before:
            return
        yearly = (self.last_night.month, self.last_night.day) == (self.training.month, 1)
        yearly = yearly and self.last_night - before == timedelta(days=1)
        again = self.retry_on is not None and self.last_night >= self.retry_on
        if self.training.automatic and (yearly or again or self.waiting_for_data):
            yield from self._request(TrainingRequest(self._now_seconds()))

    def _on_import_done(self) -> Iterator[Message]:
        """Trains on what was imported, unless the last run has seen it already."""
        if self.imported_at is None or self.running or not self.training.automatic:
            return
        imported, self.imported_at = self.imported_at, None
        if self.waiting_for_data or imported > self.started_at - IMPORT_CLOCK_TOLERANCE:
            yield from self._request(TrainingRequest(self._now_seconds()))

    def _on_train_command(self, command: Command) -> Response:
        sensor, channel = command.arguments.get("sensor", ""), command.arguments.get("channel", "")
        if channel and channel not in CHANNELS:
            return Response(self.site, "train", command.transaction, False, f"there is no channel {channel}")
        text = "will train when the present training has ended" if self.running else "training has begun"
        wanted = TrainingRequest(self._now_seconds(), (sensor,) if sensor else (), (channel,) if channel else ())
        if self.running:
            self.queued = wanted
        else:
            self._start(wanted)
        return Response(self.site, "train", command.transaction, True, text)

    def _on_use_command(self, command: Command) -> Iterator[Message]:
        """A training that is running may be about to promote its own; the operator's choice comes after it."""
        if not self.running:
            yield from self.selector.on_use_command(command, self._now_seconds())
            return
        self.pending_choices.append(command)
        text = f"{command.arguments.get('id', '')} will be in use when the present training has ended"
        yield Response(self.site, "use", command.transaction, True, text)

    def _on_prediction(self, prediction: Prediction) -> Iterator[Message]:
        """Where a model was put aside, a better one is asked for."""
        for put_aside in list(self.selector.on_prediction(prediction, busy=self.running is not None)):
            yield put_aside
            if self.training.automatic:
                yield from self._request(
                    TrainingRequest(self._now_seconds(), (put_aside.sensor,), (put_aside.channel,))
                )

    def _request(self, plan: TrainingRequest) -> Iterator[Message]:
        if self.running:
            self.queued = plan
            return
        self._start(plan)
        yield from self._drain_records()

    def _start(self, plan: TrainingRequest) -> None:
        self.runner.start(plan)
        self.running, self.queued, self.waiting_for_data, self.retry_on = plan, None, False, None
        self.started_at = self.now

    def _drain_records(self) -> Iterator[Message]:
        if self.running:
            for record in self.runner.poll():
                yield from self._on_record(record)
        while self.pending_choices and not self.running:
            yield from self.selector.on_use_command(self.pending_choices.pop(0), self._now_seconds())
        if not self.running and self.queued:
            yield from self._request(replace(self.queued, at=self._now_seconds()))
        if not self.running:
            yield from self._on_import_done()

    def _on_record(self, record: TrainingRecord) -> Iterator[Message]:
        match record:
            case TrainingProgress():
                left = record.seconds_left
                eta = None if left is None else self.now + timedelta(seconds=round(left))
                yield Progress(self.site, self.now, "training", record.step, record.of, eta, record.text[:4000])
            case InsufficientData():
                self.waiting_for_data = True
                log(self.name, "not enough data", sensor=record.sensor, channel=record.channel, text=record.text)
                yield self._waiting_message(record.text)
            case TrainingFailed():
                log(self.name, "training failed", logging.ERROR, text=record.text)
                self.retry_on = self.last_night + RETRY_AFTER_FAILURE
                yield self._waiting_message(f"training failed: {record.text}")
            case TrainingResult():
                log(self.name, "trained", model=record.id, promoted=record.promoted, reason=record.reason)
                if not record.promoted:
                    self.retry_on = self.retry_on or self.last_night + RETRY_AFTER_REFUSAL
                yield self.selector.to_message(record)
            case TrainingEnded():
                self.running = None

    def _waiting_message(self, text: str) -> Progress:
        return Progress(self.site, self.now, "training", 0, 0, None, text[:4000])

    def _now_seconds(self) -> int:
        return int(self.now.timestamp())
