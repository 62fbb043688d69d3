"""When to train, and what to tell of it; the training itself is a runner's work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from services.trainer.keeper import Keeper
from services.trainer.plan import Advance, Ended, Failed, Plan, Record, TooLittle, Trained
from services.trainer.runner import Runner
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
from shared.domain.present import FAR
from shared.runtime.log import log
from shared.settings import Training

NIGHT = 3
"""Local hour at which it looks whether there is something to train."""
AT_ONCE, AGAIN = timedelta(days=1), timedelta(days=7)
"""After a training failed, and after a candidate was refused: then there is a week more to learn from and to judge."""
SLACK = timedelta(minutes=2)
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
        keeper: Keeper,
    ) -> None:
        """`now` is when it was started."""
        self.site = site
        self.zone = zone
        self.training = training
        self.runner = runner
        self.now = now.astimezone(zone)
        self.keeper = keeper
        self.running: Plan | None = None
        self.wanted: Plan | None = None
        self.too_little = False
        self.imported: datetime | None = None
        self.began = self.now
        self.night = self._date(self.now)
        self.again: date | None = None
        """The night on which a training that failed or was of no use is followed by the next one."""
        self.choices: list[Command] = []
        """Models to be put into use when the present training has ended."""
        self.ticks = False
        """Whether one has come: before, the time is only that of the machine."""

    def start(self) -> Iterator[Message]:
        yield from self.keeper.start()
        if self.training.automatic:
            yield from self._want(Plan(self._seconds()))

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Tick):
            yield from self._go_on(message.at + timedelta(minutes=1))
        elif isinstance(message, Command) and message.name == "train":
            yield self._answer(message)
        elif isinstance(message, Command) and message.name == "use":
            yield from self._choose(message)
        elif isinstance(message, Prediction):
            yield from self._judge(message)
        elif isinstance(message, Progress) and message.job == "import" and message.step == message.of > 0:
            self.imported = message.at
            yield from self._after_import()
        yield from self._poll()

    def settle(self) -> Iterator[Message]:
        return self._poll()

    def _date(self, now: datetime) -> date:
        """The last date whose 03:00 has come."""
        return (now.astimezone(self.zone) - timedelta(hours=NIGHT)).date()

    def _go_on(self, now: datetime) -> Iterator[Message]:
        """Takes the time of a tick; a start on a wrong clock trained on the wrong weeks, and is done again."""
        wrong = not self.ticks and abs(now - self.now) > timedelta(seconds=FAR)
        self.ticks = True
        self.now = now if wrong else max(self.now, now)
        if wrong:
            self.night = self._date(self.now)
            if self.training.automatic:
                yield from self._want(Plan(self._seconds()))
        yield from self._look_at_night()

    def _look_at_night(self) -> Iterator[Message]:
        """A year's first day is believed only when the night before was seen to come, too."""
        before, self.night = self.night, self._date(self.now)
        if self.night == before:
            return
        yearly = (self.night.month, self.night.day) == (self.training.month, 1)
        yearly = yearly and self.night - before == timedelta(days=1)
        again = self.again is not None and self.night >= self.again
        if self.training.automatic and (yearly or again or self.too_little):
            yield from self._want(Plan(self._seconds()))

    def _after_import(self) -> Iterator[Message]:
        """Trains on what was imported, unless the last run has seen it already."""
        if self.imported is None or self.running or not self.training.automatic:
            return
        imported, self.imported = self.imported, None
        if self.too_little or imported > self.began - SLACK:
            yield from self._want(Plan(self._seconds()))

    def _answer(self, command: Command) -> Response:
        sensor, channel = command.arguments.get("sensor", ""), command.arguments.get("channel", "")
        if channel and channel not in CHANNELS:
            return Response(self.site, "train", command.transaction, False, f"there is no channel {channel}")
        text = "will train when the present training has ended" if self.running else "training has begun"
        wanted = Plan(self._seconds(), (sensor,) if sensor else (), (channel,) if channel else ())
        if self.running:
            self.wanted = wanted
        else:
            self._begin(wanted)
        return Response(self.site, "train", command.transaction, True, text)

    def _choose(self, command: Command) -> Iterator[Message]:
        """A training that is running may be about to promote its own; the operator's choice comes after it."""
        if not self.running:
            yield from self.keeper.choose(command, self._seconds())
            return
        self.choices.append(command)
        text = f"{command.arguments.get('id', '')} will be in use when the present training has ended"
        yield Response(self.site, "use", command.transaction, True, text)

    def _judge(self, prediction: Prediction) -> Iterator[Message]:
        """Where a model was put aside, a better one is asked for."""
        for put_aside in list(self.keeper.judge(prediction, busy=self.running is not None)):
            yield put_aside
            if self.training.automatic:
                yield from self._want(Plan(self._seconds(), (put_aside.sensor,), (put_aside.channel,)))

    def _want(self, plan: Plan) -> Iterator[Message]:
        if self.running:
            self.wanted = plan
            return
        self._begin(plan)
        yield from self._poll()

    def _begin(self, plan: Plan) -> None:
        self.runner.begin(plan)
        self.running, self.wanted, self.too_little, self.again = plan, None, False, None
        self.began = self.now

    def _poll(self) -> Iterator[Message]:
        if self.running:
            for record in self.runner.poll():
                yield from self._say(record)
        while self.choices and not self.running:
            yield from self.keeper.choose(self.choices.pop(0), self._seconds())
        if not self.running and self.wanted:
            yield from self._want(replace(self.wanted, at=self._seconds()))
        if not self.running:
            yield from self._after_import()

    def _say(self, record: Record) -> Iterator[Message]:
        match record:
            case Advance():
                left = record.seconds_left
                eta = None if left is None else self.now + timedelta(seconds=round(left))
                yield Progress(self.site, self.now, "training", record.step, record.of, eta, record.text[:4000])
            case TooLittle():
                self.too_little = True
                log(self.name, "not enough data", sensor=record.sensor, channel=record.channel, text=record.text)
                yield self._waiting(record.text)
            case Failed():
                log(self.name, "training failed", logging.ERROR, text=record.text)
                self.again = self.night + AT_ONCE
                yield self._waiting(f"training failed: {record.text}")
            case Trained():
                log(self.name, "trained", model=record.id, promoted=record.promoted, reason=record.reason)
                if not record.promoted:
                    self.again = self.again or self.night + AGAIN
                yield self.keeper.tell(record)
            case Ended():
                self.running = None

    def _waiting(self, text: str) -> Progress:
        return Progress(self.site, self.now, "training", 0, 0, None, text[:4000])

    def _seconds(self) -> int:
        return int(self.now.timestamp())
