"""A site with five weeks of data, for trainings that take seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

from services.trainer import network
from services.trainer.training_job import TrainingJob
from services.trainer.training_protocol import TrainingRecord, TrainingRequest
from shared.domain.series import DAY, MINUTE, Floats, Ints, Series
from shared.settings import Settings
from shared.settings.sections import Training

ZONE = Settings().zone
TRAINING = Training(epochs=1, min_days=28)
MONDAY = 1_790_521_200
"""2026-09-28 00:00 in Korea."""


@dataclass
class FakeHistory:
    """Five weeks of minutes of sensor 001: a noisy weekly pattern of flow rate, and pressure as its mirror image."""

    days: int = 35
    noise: float = 1.0
    """m³/h: standard deviation of the hourly noise, half of which lasts into the next hour."""
    anomalies: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at: Ints = MONDAY + np.arange(self.days * DAY // MINUTE) * MINUTE
        hours = np.arange(self.days * 24)
        deviation = np.zeros(len(hours))
        for hour, noise in enumerate(np.random.default_rng(1).normal(0, self.noise, len(hours))):
            deviation[hour] = 0.5 * deviation[hour - 1] + noise
        flow = 30 + 10 * np.sin(hours * np.pi / 12) - 5 * (hours // 24 % 7 >= 5) + deviation
        self.flow_rate: Floats = np.repeat(flow, 60)
        self.pressure: Floats = 5 - 0.02 * self.flow_rate

    def retired(self) -> set[str]:
        return set()

    def active_sensors(self) -> list[str]:
        return self.sensors()

    def sensors(self) -> list[str]:
        return ["001"] if self.days else []

    def reading_range(self, sensor: str) -> tuple[int, int] | None:
        return (int(self.at[0]), int(self.at[-1])) if sensor == "001" and self.days else None

    def readings(self, sensor: str, start: int, stop: int) -> Series:
        part = (self.at >= start) & (self.at < stop) & (sensor == "001")
        return Series(self.at[part], self.flow_rate[part], self.pressure[part])

    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]:
        return [(opened, cleared) for opened, cleared in self.anomalies if sensor == "001" and opened < stop > start]

    @property
    def end_at(self) -> int:
        return MONDAY + self.days * DAY


def run_training(
    history: FakeHistory, folder: Path, at: int | None = None, channels: tuple[str, ...] = ("flow_rate",)
) -> list[TrainingRecord]:
    """Run a training of one epoch, of a network with one member, in this process."""
    request = TrainingRequest(history.end_at if at is None else at, ("001",), channels)
    with patch.object(network, "ENSEMBLE_SIZE", 1):
        return list(TrainingJob("site1", ZONE, folder, TRAINING, history).train(request))


@dataclass
class FirstTraining:
    """The first training of the site, run once for all tests."""

    history: FakeHistory
    folder: Path
    records: list[TrainingRecord]
