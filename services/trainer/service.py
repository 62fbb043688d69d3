"""The trainer: decides when to train and reports the results; a runner does the training."""

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
from shared.models.training_result import TrainingResult
from shared.runtime.log import log
from shared.settings import Training

NIGHTLY_CHECK_HOUR = 3
"""Local hour of the nightly check for a due training."""
RETRY_AFTER_FAILURE, RETRY_AFTER_REFUSAL = timedelta(days=1), timedelta(days=7)
"""Time until the next training after a failure, and after a refused candidate: a week adds data for the comparison."""
IMPORT_CLOCK_TOLERANCE = timedelta(minutes=2)
"""Tolerance when an import's time is compared with a training's start: messages carry full minutes."""


class Trainer:
    """Trains at every start, yearly, after an import and on command; while data is missing, each night."""

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
        selector: ModelSelector,
    ) -> None:
        """`now`: time of the start by the machine's clock."""
        self.site = site
        self.zone = zone
        self.training = training
        self.runner = runner
        self.now = now.astimezone(zone)
        self.selector = selector
        self.running: TrainingRequest | None = None
        self.queued: TrainingRequest | None = None
        self.waiting_for_data = False
        self.imported_at: datetime | None = None
        """End of an import that no training has used yet."""
        self.started_at = self.now
        """Start of the newest training."""
        self.last_night = self._night_of(self.now)
        self.retry_on: date | None = None
        """Night of the next training after a failed one or a refused candidate."""
        self.pending_choices: list[Command] = []
        """`use` commands that wait for the end of the running training."""
        self.has_tick = False
        """Whether a Tick has arrived; before the first one, `now` is the machine's time."""

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
        """Return the date of the newest 03:00 that is not after `now`."""
        return (now.astimezone(self.zone) - timedelta(hours=NIGHTLY_CHECK_HOUR)).date()

    def _on_tick(self, now: datetime) -> Iterator[Message]:
        """Advance the time; after a start with a wrong clock, train again on the right weeks."""
        clock_was_wrong = not self.has_tick and abs(now - self.now) > timedelta(seconds=TICK_CLOCK_TOLERANCE_SECONDS)
        self.has_tick = True
        self.now = now if clock_was_wrong else max(self.now, now)
        if clock_was_wrong:
            self.last_night = self._night_of(self.now)
            if self.training.automatic:
                yield from self._request(TrainingRequest(self._now_seconds()))
        yield from self._check_nightly()

    def _check_nightly(self) -> Iterator[Message]:
        """Request a training that is due tonight.

        The yearly training needs two consecutive nights, so that a clock jump over the new year does not start it.
        """
        previous_night, self.last_night = self.last_night, self._night_of(self.now)
        if self.last_night == previous_night:
            return
        is_yearly = (self.last_night.month, self.last_night.day) == (self.training.month, 1)
        is_yearly = is_yearly and self.last_night - previous_night == timedelta(days=1)
        is_retry = self.retry_on is not None and self.last_night >= self.retry_on
        if self.training.automatic and (is_yearly or is_retry or self.waiting_for_data):
            yield from self._request(TrainingRequest(self._now_seconds()))

    def _on_import_done(self) -> Iterator[Message]:
        """Train on imported readings, unless the newest training has used them."""
        if self.imported_at is None or self.running or not self.training.automatic:
            return
        imported_at, self.imported_at = self.imported_at, None
        if self.waiting_for_data or imported_at > self.started_at - IMPORT_CLOCK_TOLERANCE:
            yield from self._request(TrainingRequest(self._now_seconds()))

    def _on_train_command(self, command: Command) -> Response:
        sensor, channel = command.arguments.get("sensor", ""), command.arguments.get("channel", "")
        if channel and channel not in CHANNELS:
            text = f"unknown channel {channel}: expected {' or '.join(CHANNELS)}"
            return Response(site=self.site, name="train", transaction=command.transaction, ok=False, text=text)
        request = TrainingRequest(self._now_seconds(), (sensor,) if sensor else (), (channel,) if channel else ())
        if self.running:
            self.queued = request
            text = "training is queued and starts when the running training has ended"
        else:
            self._start(request)
            text = "training has started"
        return Response(site=self.site, name="train", transaction=command.transaction, ok=True, text=text)

    def _on_use_command(self, command: Command) -> Iterator[Message]:
        """Activate the operator's choice, after a running training, which may promote its own model."""
        if not self.running:
            yield from self.selector.on_use_command(command, self._now_seconds())
            return
        self.pending_choices.append(command)
        text = f"{command.arguments.get('id', '')} will be in use when the running training has ended"
        yield Response(site=self.site, name="use", transaction=command.transaction, ok=True, text=text)

    def _on_prediction(self, prediction: Prediction) -> Iterator[Message]:
        """Report degraded models and request a training for each."""
        for demoted in list(self.selector.on_prediction(prediction, busy=self.running is not None)):
            yield demoted
            if self.training.automatic:
                request = TrainingRequest(self._now_seconds(), (demoted.sensor,), (demoted.channel,))
                yield from self._request(request)

    def _request(self, request: TrainingRequest) -> Iterator[Message]:
        if self.running:
            self.queued = request
            return
        self._start(request)
        yield from self._drain_records()

    def _start(self, request: TrainingRequest) -> None:
        self.runner.start(request)
        self.running, self.queued, self.waiting_for_data, self.retry_on = request, None, False, None
        self.started_at = self.now

    def _drain_records(self) -> Iterator[Message]:
        """Handle the runner's records, then start what waits for the end of the training."""
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
                yield Progress(
                    site=self.site,
                    at=self.now,
                    job="training",
                    step=record.step,
                    of=record.of,
                    eta=eta,
                    text=record.text[:4000],
                )
            case InsufficientData():
                self.waiting_for_data = True
                log(self.name, "data_insufficient", sensor=record.sensor, channel=record.channel, text=record.text)
                yield self._waiting_message(record.text)
            case TrainingFailed():
                log(self.name, "training_failed", logging.ERROR, text=record.text)
                self.retry_on = self.last_night + RETRY_AFTER_FAILURE
                yield self._waiting_message(f"training failed: {record.text}")
            case TrainingResult():
                log(self.name, "model_trained", model=record.id, promoted=record.promoted, reason=record.reason)
                if not record.promoted:
                    self.retry_on = self.retry_on or self.last_night + RETRY_AFTER_REFUSAL
                yield self.selector.to_message(record)
            case TrainingEnded():
                self.running = None

    def _waiting_message(self, text: str) -> Progress:
        return Progress(site=self.site, at=self.now, job="training", step=0, of=0, eta=None, text=text[:4000])

    def _now_seconds(self) -> int:
        return int(self.now.timestamp())
