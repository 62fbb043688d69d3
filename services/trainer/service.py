"""The trainer: decides when to train and reports the results; a runner does the training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
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
    shortage_text,
)
from shared.contract.messages import (
    CHANNELS,
    Command,
    LocalizedText,
    Message,
    ModelTrained,
    Prediction,
    Progress,
    Response,
    SensorRetired,
    Tick,
)
from shared.contract.status_codes import Problem
from shared.contract.texts import localized
from shared.domain.event_clock import TICK_CLOCK_TOLERANCE_SECONDS
from shared.models.model_messages import join_texts
from shared.models.training_result import TrainingResult
from shared.runtime.log import log
from shared.settings.sections import Training

NIGHTLY_CHECK_HOUR = 3
"""Local hour of the nightly check for a due training."""
RETRY_AFTER_FAILURE, RETRY_AFTER_REFUSAL = timedelta(days=1), timedelta(days=7)
"""Time until the next training after a failure, and after a refused candidate: a week adds data for the comparison."""
ABANDONED_IMPORT_TICKS = 10
"""Ticks without progress after which an import counts as abandoned."""


class Trainer:
    """Trains after every start, yearly, after an import and on command; while data is missing, each night."""

    name: ClassVar[str] = "trainer"
    produces: ClassVar[tuple[type[Message], ...]] = (ModelTrained, Progress, Response)

    def __init__(
        self,
        site: str,
        zone: ZoneInfo,
        training: Training,
        runner: Runner,
        now: datetime,
        selector: ModelSelector,
        has_history: Callable[[], bool] = lambda: True,
        obstacle: Problem | None = None,
    ) -> None:
        """`now`: time of the start by the machine's clock; `has_history`: whether any readings are stored.

        `obstacle`: why this machine can't train; None if it can.
        """
        self.site = site
        self.zone = zone
        self.training = training
        self.runner = runner
        self.now = now.astimezone(zone)
        self.selector = selector
        self.has_history = has_history
        self.obstacle = obstacle
        self.running: TrainingRequest | None = None
        self.queued: TrainingRequest | None = None
        """A training that waits for the first tick, the end of an import, or the end of the running training."""
        self.waiting_for_data = False
        self.last_import: Progress | None = None
        """Newest progress of an import."""
        self.ticks_since_import = 0
        self.last_night = self._night_of(self.now)
        self.retry_on: date | None = None
        """Night of the next training after a failed one or a refused candidate."""
        self.pending_choices: list[Command] = []
        """`use` commands that wait for the end of the running training."""
        self.has_tick = False
        """Whether a Tick has arrived; before the first one, `now` is the machine's time."""

    def start(self) -> Iterator[Message]:
        """Report the active models; the training starts at the first tick, when a running import is known."""
        yield from self.selector.start()
        if self.obstacle:
            yield self._waiting_message(self.obstacle.text)
        if self.training.automatic:
            self._enqueue(TrainingRequest(self._now_seconds()))

    def handle(self, message: Message) -> Iterator[Message]:
        yield from type(self).HANDLERS[type(message)](self, message)
        yield from self._drain_records()

    def end_batch(self) -> Iterator[Message]:
        return self._drain_records()

    def _night_of(self, now: datetime) -> date:
        """Return the date of the newest 03:00 that is not after `now`."""
        return (now.astimezone(self.zone) - timedelta(hours=NIGHTLY_CHECK_HOUR)).date()

    def _on_tick(self, tick: Tick) -> Iterator[Message]:
        """Advance the time to the end of the minute; the first tick corrects a wrong clock at the start."""
        if self.queued and not self.running and not self.has_history():
            self.queued = None
            yield from self._on_record(InsufficientData("", "", shortage_text(0, self.training.min_days)))
        now = tick.at + timedelta(minutes=1)
        clock_was_wrong = not self.has_tick and abs(now - self.now) > timedelta(seconds=TICK_CLOCK_TOLERANCE_SECONDS)
        self.has_tick = True
        self.ticks_since_import += 1
        self.now = now if clock_was_wrong else max(self.now, now)
        if clock_was_wrong:
            self.last_night = self._night_of(self.now)
        self._check_nightly()

    def _check_nightly(self) -> None:
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
            self._enqueue(TrainingRequest(self._now_seconds()))

    def _on_progress(self, progress: Progress) -> Iterator[Message]:
        """Request a training on imported readings; a retained message that is delivered again changes nothing."""
        if progress.job == "import" and progress != self.last_import:
            self.last_import, self.ticks_since_import = progress, 0
            if progress.step == progress.of > 0 and self.training.automatic:
                self._enqueue(TrainingRequest(self._now_seconds()))
        return iter(())

    def _is_importing(self) -> bool:
        """Return whether an import has begun and made progress in the last minutes."""
        progress = self.last_import
        is_unfinished = progress is not None and progress.step < progress.of
        return is_unfinished and self.ticks_since_import < ABANDONED_IMPORT_TICKS

    def _on_command(self, command: Command) -> Iterator[Message]:
        handler = type(self).COMMANDS.get(command.name)
        return handler(self, command) if handler else iter(())

    def _on_train_command(self, command: Command) -> Iterator[Message]:
        if self.obstacle:
            yield self._response(command, ok=False, text=self.obstacle.text)
            return
        sensor, channel = command.arguments.get("sensor", ""), command.arguments.get("channel", "")
        if channel and channel not in CHANNELS:
            text = localized(
                "알 수 없는 채널 {channel}: {channels} 중 하나를 입력하세요",
                "unknown channel {channel}: expected {expected}",
                channel=channel,
                channels=", ".join(CHANNELS),
                expected=" or ".join(CHANNELS),
            )
            yield self._response(command, ok=False, text=text)
            return
        request = TrainingRequest(self._now_seconds(), (sensor,) if sensor else (), (channel,) if channel else ())
        if self.running:
            self._enqueue(request)
            text = LocalizedText(
                "진행 중인 학습이 끝나면 시작합니다",
                "training is queued and starts when the running training has ended",
            )
        else:
            self._start(request)
            text = LocalizedText("학습을 시작했습니다", "training has started")
        yield self._response(command, ok=True, text=text)

    def _on_use_command(self, command: Command) -> Iterator[Message]:
        """Activate the operator's choice, after a running training, which may promote its own model."""
        if not self.running:
            yield from self.selector.on_use_command(command, self._now_seconds())
            return
        self.pending_choices.append(command)
        text = localized(
            "진행 중인 학습이 끝나면 {id}을(를) 사용합니다",
            "{id} will be in use when the running training has ended",
            id=command.arguments.get("id", ""),
        )
        yield self._response(command, ok=True, text=text)

    def _response(self, command: Command, ok: bool, text: LocalizedText) -> Response:
        return Response(site=self.site, name=command.name, transaction=command.transaction, ok=ok, text=text)

    def _on_prediction(self, prediction: Prediction) -> Iterator[Message]:
        """Report degraded models and request a training for each."""
        for demoted in list(self.selector.on_prediction(prediction, busy=self.running is not None)):
            yield demoted
            if self.training.automatic:
                self._enqueue(TrainingRequest(self._now_seconds(), (demoted.sensor,), (demoted.channel,)))

    def problems(self) -> list[Problem]:
        """Return the problems of the status: an obstacle counts only where a training is expected."""
        obstacles = [self.obstacle] if self.obstacle and self.training.automatic else []
        return [*obstacles, *self.selector.problems()]

    def _enqueue(self, request: TrainingRequest) -> None:
        if self.obstacle:
            return
        self.queued = request if self.queued is None else self.queued.merge(request)

    def _start(self, request: TrainingRequest) -> None:
        """Start a training; one of all channels replaces the queued one."""
        self.runner.start(request)
        self.running, self.waiting_for_data, self.retry_on = request, False, None
        if not request.sensors and not request.channels:
            self.queued = None

    def _drain_records(self) -> Iterator[Message]:
        """Handle the runner's records, then start what waits for the end of the training."""
        if self.running:
            for record in self.runner.poll():
                yield from self._on_record(record)
        while self.pending_choices and not self.running:
            yield from self.selector.on_use_command(self.pending_choices.pop(0), self._now_seconds())
        if self.queued and not self.running and self.has_tick and not self._is_importing():
            request, self.queued = self.queued, None
            self._start(replace(request, at=self._now_seconds()))
            yield from self._drain_records()

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
                    text=record.text,
                )
            case InsufficientData():
                self.waiting_for_data = True
                log(self.name, "data_insufficient", sensor=record.sensor, channel=record.channel, text=record.text.en)
                yield self._waiting_message(record.text)
            case TrainingFailed():
                log(self.name, "training_failed", logging.ERROR, text=record.text.en)
                self.retry_on = self.last_night + RETRY_AFTER_FAILURE
                failed = LocalizedText("학습에 실패했습니다", "training failed")
                yield self._waiting_message(join_texts(": ", (failed, record.text)))
            case TrainingResult():
                log(self.name, "model_trained", model=record.id, promoted=record.promoted, reason=record.reason.en)
                if not record.promoted:
                    self.retry_on = self.retry_on or self.last_night + RETRY_AFTER_REFUSAL
                yield self.selector.to_message(record)
            case TrainingEnded():
                self.running = None

    def _waiting_message(self, text: LocalizedText) -> Progress:
        return Progress(site=self.site, at=self.now, job="training", step=0, of=0, eta=None, text=text)

    def _on_sensor_retired(self, retired: SensorRetired) -> Iterator[Message]:  # noqa: ARG002
        """Say nothing more: the bus removes the retained message of the sensor's model."""
        return iter(())

    def _now_seconds(self) -> int:
        return int(self.now.timestamp())

    HANDLERS: ClassVar[dict[type[Message], Callable[..., Iterator[Message]]]] = {
        Tick: _on_tick,
        Progress: _on_progress,
        Command: _on_command,
        Prediction: _on_prediction,
        SensorRetired: _on_sensor_retired,
    }
    consumes: ClassVar[tuple[type[Message], ...]] = tuple(HANDLERS)
    COMMANDS: ClassVar[dict[str, Callable[..., Iterator[Message]]]] = {
        "train": _on_train_command,
        "use": _on_use_command,
    }
    commands: ClassVar[tuple[str, ...]] = tuple(COMMANDS)
