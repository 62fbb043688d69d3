"""The estimated time left of a training is what it then takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.trainer import channel_training
from services.trainer.network import Epoch
from services.trainer.training_data import HourlySeries
from services.trainer.training_job import TrainingJob
from services.trainer.training_protocol import TrainingProgress, TrainingRequest
from shared.contract.texts import technical
from shared.models.training_result import TrainingResult
from shared.settings.sections import Training
from tests.unit.services.trainer.short_site import ZONE, FakeHistory

EPOCH = 10.0
"""Seconds of an epoch, and of the work after the last one."""


@pytest.mark.parametrize("epochs", [60, 20], ids=["to the end", "stopped early"])
def test_time_left_is_accurate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    now = [100.0]

    def train(series: HourlySeries, *_: Any) -> Iterator[Epoch | TrainingResult]:
        for number in range(1, epochs + 1):
            now[0] += EPOCH
            yield Epoch(number, 1.0, 1.0, number == epochs)
        now[0] += EPOCH
        yield TrainingResult(series.sensor, series.channel, 0, "m", "output", "", 0, 0, True, technical(""))

    monkeypatch.setattr(channel_training, "train_channel", train)
    monkeypatch.setattr(TrainingJob, "_build_datasets", lambda _, batch: batch)
    job = TrainingJob("site1", ZONE, tmp_path, Training(epochs=60), FakeHistory(), lambda: now[0])
    reports = [
        (now[0], record)
        for record in job.train(TrainingRequest(FakeHistory().end_at))
        if isinstance(record, TrainingProgress)
    ]
    assert reports[0][1].seconds_left is None
    assert (reports[-1][1].step, reports[-1][1].seconds_left) == (reports[-1][1].of, 0)
    at, left = next((at, record.seconds_left) for at, record in reports if record.step >= 60)
    assert left == pytest.approx(now[0] - at, rel=0.2)
