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

from services.trainer.samples import Dataset, build_dataset
from services.trainer.training_data import HistoryReader, HourlySeries, load_training_data
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
    TrainingResult,
)
from shared.contract.messages import CHANNELS
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.settings import Training

SAMPLING_COST_EPOCHS, COMPARISON_COST_EPOCHS = 15, 5
"""Epochs that take as long as making a channel's samples, and as judging its model."""
WORKER_IDLE_SECONDS = 2.0
"""Seconds without work after which a process that prepares ends, and gives back its memory."""
PR_SET_PDEATHSIG = 1


class ProgressEstimator:
    """Counts the steps of a run and tells the time left from the pace so far."""

    def __init__(self, of: int, clock: Callable[[], float] | None) -> None:
        self.total = of
        self.clock = clock
        self.started_at = clock() if clock else 0.0

    def at_step(self, step: int, text: str) -> TrainingProgress:
        left = (self.clock() - self.started_at) / step * (self.total - step) if self.clock and step else None
        return TrainingProgress(step, self.total, left, text)


@dataclass
class TrainingJob:
    """What a run needs; `clock` gives seconds for the time left, None (replay) for none.

    `jobs` channels are prepared at a time, each in its own process. Networks are fitted one after the other: TensorFlow
    takes all cores for one, and twice the memory for two.
    """

    site: str
    zone: ZoneInfo
    data: Path
    training: Training
    history: HistoryReader
    clock: Callable[[], float] | None = None
    calendar: HolidayCalendar = NO_HOLIDAYS
    workers: int = 1

    def train(self, request: TrainingRequest) -> Iterator[TrainingRecord]:
        """Trains on the readings before plan.at; yields what there is to tell."""
        ready, lacking = self._load_channels(request)
        yield from lacking
        if not ready:
            return
        names = ", ".join(f"{hours.sensor} {hours.channel}" for hours in ready)
        each = SAMPLING_COST_EPOCHS + self.training.epochs + COMPARISON_COST_EPOCHS
        steps = ProgressEstimator(len(ready) * each, self.clock)
        yield steps.at_step(0, f"training {names}")
        failed: list[str] = []
        for first in range(0, len(ready), self.workers):
            some = ready[first : first + self.workers]
            done = first * each + SAMPLING_COST_EPOCHS * len(some)
            for hours, prepared in zip(some, self._build_datasets(some), strict=True):
                try:
                    yield from self._train_channel(hours, prepared, request.at, steps, done)
                except Exception as error:  # one channel's trouble must not cost the others their training
                    failed.append(f"{hours.sensor} {hours.channel}: {error!r}")
                    yield TrainingFailed(failed[-1])
                done += each - SAMPLING_COST_EPOCHS
        yield steps.at_step(
            steps.total, f"training of {names} has ended" + "".join(f"; failed: {one}" for one in failed)
        )

    def _build_datasets(self, some: list[HourlySeries]) -> list[Dataset | Exception]:
        """What each channel learns from, or why it can't."""
        return list(
            Parallel(len(some), idle_worker_timeout=WORKER_IDLE_SECONDS)(
                delayed(_build_dataset_in_worker)(hours, os.getpid()) for hours in some
            )
        )

    def _load_channels(self, request: TrainingRequest) -> tuple[list[HourlySeries], list[InsufficientData]]:
        """Channels with enough days, and what to say of the others."""
        channels = request.channels or CHANNELS
        found = [
            hours
            for sensor in request.sensors or self.history.sensors()
            for hours in load_training_data(self.history, sensor, channels, request.at, self.zone, self.calendar)
        ]
        ready = [hours for hours in found if hours.known_days >= self.training.min_days]
        lacking = [
            InsufficientData(
                hours.sensor, hours.channel, f"{hours.sensor} {hours.channel}: {self._shortage_text(hours.known_days)}"
            )
            for hours in found
            if hours.known_days < self.training.min_days
        ]
        return ready, lacking if found else [InsufficientData("", "", self._shortage_text(0))]

    def _shortage_text(self, days: int) -> str:
        return f"not enough data yet, {days} of {self.training.min_days} days; looks again at 03:00"

    def _train_channel(
        self, hours: HourlySeries, prepared: Dataset | Exception, at: int, steps: ProgressEstimator, done: int
    ) -> Iterator[TrainingRecord]:
        if isinstance(prepared, Exception):
            raise prepared
        from services.trainer.channel_training import (
            train_channel,  # loads TensorFlow, only when there is something to train
        )

        for record in train_channel(hours, prepared, self.training, at, self.data, self.site, self.zone):
            if isinstance(record, TrainingResult):
                yield record
                continue
            told = (
                f"{hours.sensor} {hours.channel}: epoch {record.number}, validation loss {record.validation_loss:.4f}"
            )
            yield steps.at_step(done + (self.training.epochs if record.is_last else record.number), told)


def _build_dataset_in_worker(hours: HourlySeries, master: int) -> Dataset | Exception:
    """Runs in the process `master`, or in one of its own that is killed when the master is."""
    if os.getpid() != master:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        return build_dataset(hours)
    except Exception as error:  # told for this channel alone
        return error
