"""One training: each requested sensor and channel, from readings to a model folder."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from joblib import Parallel, delayed

from services.trainer.samples import Dataset, TooManyGaps, build_dataset
from services.trainer.training_data import HistoryReader, HourlySeries, load_training_data
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
    shortage_text,
)
from shared.contract.messages import CHANNELS, LocalizedText
from shared.contract.texts import localized, technical
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.models.model_messages import channel_name, channel_names, join_texts
from shared.models.training_result import TrainingResult
from shared.settings.sections import Training

SAMPLING_COST_EPOCHS, COMPARISON_COST_EPOCHS = 15, 5
"""Epochs that take as long as building a channel's dataset, and as comparing its model with the champion."""
WORKER_IDLE_SECONDS = 2.0
"""Idle time after which a worker process ends and returns its memory."""
PR_SET_PDEATHSIG = 1


class ProgressEstimator:
    """Counts the steps of a training and estimates the time left from the speed so far."""

    def __init__(self, total: int, clock: Callable[[], float] | None) -> None:
        self.total = total
        self.clock = clock
        self.started_at = clock() if clock else 0.0

    def at_step(self, step: int, text: LocalizedText) -> TrainingProgress:
        """Return the progress at a step."""
        left = (self.clock() - self.started_at) / step * (self.total - step) if self.clock and step else None
        return TrainingProgress(step, self.total, left, text)


@dataclass
class TrainingJob:
    """A training; `clock` returns seconds for the time left, None (replay) disables the estimate.

    The datasets of `workers` channels are built at a time, each in its own process. Networks are fitted one after the
    other: TensorFlow uses all cores for one, and twice the memory for two.
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
        """Train on the readings before request.at; yield progress, results and errors."""
        ready, insufficient = self._load_channels(request)
        yield from insufficient
        if not ready:
            return
        names = channel_names((series.sensor, series.channel) for series in ready)
        steps_per_channel = SAMPLING_COST_EPOCHS + self.training.epochs + COMPARISON_COST_EPOCHS
        progress = ProgressEstimator(len(ready) * steps_per_channel, self.clock)
        yield progress.at_step(0, LocalizedText(f"{names.ko} 학습을 시작했습니다", f"training {names.en}"))
        failures: list[LocalizedText] = []
        for first in range(0, len(ready), self.workers):
            batch = ready[first : first + self.workers]
            step = first * steps_per_channel + SAMPLING_COST_EPOCHS * len(batch)
            for series, dataset in zip(batch, self._build_datasets(batch), strict=True):
                try:
                    yield from self._train_channel(series, dataset, request.at, progress, step)
                except Exception as error:  # an error in one channel must not stop the others
                    reason = error.text if isinstance(error, TooManyGaps) else technical(repr(error))
                    failures.append(join_texts(": ", (channel_name(series.sensor, series.channel), reason)))
                    yield TrainingFailed(failures[-1])
                step += steps_per_channel - SAMPLING_COST_EPOCHS
        ended = LocalizedText(f"{names.ko} 학습이 끝났습니다", f"training of {names.en} has ended")
        failed = (LocalizedText(f"실패: {failure.ko}", f"failed: {failure.en}") for failure in failures)
        yield progress.at_step(progress.total, join_texts("; ", (ended, *failed)))

    def _build_datasets(self, batch: list[HourlySeries]) -> list[Dataset | Exception]:
        """Return each channel's dataset, or the error that prevents it."""
        parallel = Parallel(len(batch), idle_worker_timeout=WORKER_IDLE_SECONDS)
        return list(parallel(delayed(_build_dataset_in_worker)(series, os.getpid()) for series in batch))

    def _load_channels(self, request: TrainingRequest) -> tuple[list[HourlySeries], list[InsufficientData]]:
        """Return the channels with enough days, and a record for each of the others."""
        channels = request.channels or CHANNELS
        loaded = [
            series
            for sensor in request.sensors or self.history.active_sensors()
            for series in load_training_data(self.history, sensor, channels, request.at, self.zone, self.calendar)
        ]
        ready = [series for series in loaded if series.known_days >= self.training.min_days]
        insufficient = [
            self._insufficient_data(series) for series in loaded if series.known_days < self.training.min_days
        ]
        nothing = InsufficientData("", "", shortage_text(0, self.training.min_days))
        return ready, insufficient if loaded else [nothing]

    def _insufficient_data(self, series: HourlySeries) -> InsufficientData:
        shortage = shortage_text(series.known_days, self.training.min_days)
        text = join_texts(": ", (channel_name(series.sensor, series.channel), shortage))
        return InsufficientData(series.sensor, series.channel, text)

    def _train_channel(
        self, series: HourlySeries, dataset: Dataset | Exception, at: int, progress: ProgressEstimator, step: int
    ) -> Iterator[TrainingRecord]:
        if isinstance(dataset, Exception):
            raise dataset
        from services.trainer import channel_training  # loads TensorFlow

        for record in channel_training.train_channel(
            series, dataset, self.training, at, self.data, self.site, self.zone
        ):
            if isinstance(record, TrainingResult):
                yield record
                continue
            epoch_text = localized(
                "에포크 {number}, 검증 손실 {loss:.4f}",
                "epoch {number}, validation loss {loss:.4f}",
                number=record.number,
                loss=record.validation_loss,
            )
            epoch = self.training.epochs if record.is_last else record.number
            text = join_texts(": ", (channel_name(series.sensor, series.channel), epoch_text))
            yield progress.at_step(step + epoch, text)


def _build_dataset_in_worker(series: HourlySeries, parent_pid: int) -> Dataset | Exception:
    """Build a dataset; a worker process other than the parent is killed when the parent ends."""
    if os.getpid() != parent_pid:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        return build_dataset(series)
    except Exception as error:  # reported for this channel only
        return error
