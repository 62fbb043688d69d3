"""One training run: every wanted sensor and channel, from readings to a model folder, told step by step."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from joblib import Parallel, delayed

from services.trainer.hours import Hours, Past, gather
from services.trainer.plan import Advance, Failed, Plan, Record, TooLittle, Trained
from services.trainer.samples import Prepared, prepare
from shared.contract.messages import CHANNELS
from shared.domain.calendar import NO_HOLIDAYS, Calendar
from shared.settings import Training

SAMPLING, JUDGING = 15, 5
"""Epochs that take as long as making a channel's samples, and as judging its model."""
IDLE = 2.0
"""Seconds without work after which a process that prepares ends, and gives back its memory."""
PR_SET_PDEATHSIG = 1


class Steps:
    """Counts the steps of a run and tells the time left from the pace so far."""

    def __init__(self, of: int, clock: Callable[[], float] | None) -> None:
        self.of = of
        self.clock = clock
        self.began = clock() if clock else 0.0

    def advance(self, step: int, text: str) -> Advance:
        left = (self.clock() - self.began) / step * (self.of - step) if self.clock and step else None
        return Advance(step, self.of, left, text)


@dataclass
class Job:
    """What a run needs; `clock` gives seconds for the time left, None (replay) for none.

    `jobs` channels are prepared at a time, each in its own process. Networks are fitted one after the other: TensorFlow
    takes all cores for one, and twice the memory for two.
    """

    site: str
    zone: ZoneInfo
    data: Path
    training: Training
    past: Past
    clock: Callable[[], float] | None = None
    calendar: Calendar = NO_HOLIDAYS
    jobs: int = 1

    def train(self, plan: Plan) -> Iterator[Record]:
        """Trains on the readings before plan.at; yields what there is to tell."""
        ready, lacking = self._gather(plan)
        yield from lacking
        if not ready:
            return
        names = ", ".join(f"{hours.sensor} {hours.channel}" for hours in ready)
        each = SAMPLING + self.training.epochs + JUDGING
        steps = Steps(len(ready) * each, self.clock)
        yield steps.advance(0, f"training {names}")
        failed: list[str] = []
        for first in range(0, len(ready), self.jobs):
            some = ready[first : first + self.jobs]
            done = first * each + SAMPLING * len(some)
            for hours, prepared in zip(some, self._prepare(some), strict=True):
                try:
                    yield from self._one(hours, prepared, plan.at, steps, done)
                except Exception as error:  # one channel's trouble must not cost the others their training
                    failed.append(f"{hours.sensor} {hours.channel}: {error!r}")
                    yield Failed(failed[-1])
                done += each - SAMPLING
        yield steps.advance(steps.of, f"training of {names} has ended" + "".join(f"; failed: {one}" for one in failed))

    def _prepare(self, some: list[Hours]) -> list[Prepared | Exception]:
        """What each channel learns from, or why it can't."""
        return list(
            Parallel(len(some), idle_worker_timeout=IDLE)(delayed(_prepared)(hours, os.getpid()) for hours in some)
        )

    def _gather(self, plan: Plan) -> tuple[list[Hours], list[TooLittle]]:
        """Channels with enough days, and what to say of the others."""
        channels = plan.channels or CHANNELS
        found = [
            hours
            for sensor in plan.sensors or self.past.sensors()
            for hours in gather(self.past, sensor, channels, plan.at, self.zone, self.calendar)
        ]
        ready = [hours for hours in found if hours.days >= self.training.min_days]
        lacking = [
            TooLittle(hours.sensor, hours.channel, f"{hours.sensor} {hours.channel}: {self._need(hours.days)}")
            for hours in found
            if hours.days < self.training.min_days
        ]
        return ready, lacking if found else [TooLittle("", "", self._need(0))]

    def _need(self, days: int) -> str:
        return f"not enough data yet, {days} of {self.training.min_days} days; looks again at 03:00"

    def _one(self, hours: Hours, prepared: Prepared | Exception, at: int, steps: Steps, done: int) -> Iterator[Record]:
        if isinstance(prepared, Exception):
            raise prepared
        from services.trainer.channel import train_channel  # loads TensorFlow, only when there is something to train

        for record in train_channel(hours, prepared, self.training, at, self.data, self.site, self.zone):
            if isinstance(record, Trained):
                yield record
                continue
            told = f"{hours.sensor} {hours.channel}: epoch {record.number}, validation loss {record.validation:.4f}"
            yield steps.advance(done + (self.training.epochs if record.last else record.number), told)


def _prepared(hours: Hours, master: int) -> Prepared | Exception:
    """Runs in the process `master`, or in one of its own that is killed when the master is."""
    if os.getpid() != master:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        return prepare(hours)
    except Exception as error:  # told for this channel alone
        return error
