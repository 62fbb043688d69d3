"""Simulated flow and pressure through `./wvr replay --train`, and their hourly means for other forecasters."""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from bench.detection.simulator import Record, make_record
from cli.bootstrap import ROOT
from services.trainer.training_data import HourlySeries, hourly_means
from services.trainer.training_protocol import TrainingRequest, encode_request
from shared.contract.messages import CHANNELS
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import DAY, HOUR, Floats
from shared.runtime.public_holidays import make_calendar

UTC_OFFSET_SECONDS = 9 * HOUR
DEMAND_EVENTS = ("holiday", "heat", "big_user", "rezoning", "high_demand")
"""Events of the demand itself; hours of all other events are left out of scores and of the baselines' data."""


@dataclass(frozen=True)
class Site:
    """One simulated site: its hours, and when it was trained."""

    record: Record
    trained_at_hour: int
    """Index of the hour."""
    channels: dict[str, HourlySeries]
    """Without the hours of leaks, bursts and faults."""


@dataclass(frozen=True)
class TrainingCost:
    """Seconds and megabytes of one training."""

    seconds: float
    megabytes: float


def make_site(seed: int, days: int, evaluated_days: int) -> Site:
    """Make a typical site of a seed, trained so many days before its record ends."""
    record = make_record(seed, "typical", days)
    start, hours = int(record.at[0]), days * 24
    local_hours = (start + UTC_OFFSET_SECONDS) // HOUR + np.arange(hours + FORECAST_HOURS)
    is_clean = np.ones(hours, dtype=bool)
    for event in (event for event in record.events if event.kind not in DEMAND_EVENTS):
        is_clean[max(0, (event.start - start) // HOUR) : max(0, -(-(event.stop - start) // HOUR))] = False
    minutes = {"flow_rate": record.flow, "pressure": record.pressure}
    means = {channel: hourly_means(record.at, minutes[channel], start, start + days * DAY) for channel in CHANNELS}
    holidays = make_calendar("KR")
    channels: dict[str, HourlySeries] = {
        channel: HourlySeries(
            sensor="001",
            channel=channel,
            start_at=start,
            values=np.where(is_clean, means[channel], np.nan),
            local_hours=local_hours,
            known_days=days,
            calendar=holidays,
        )
        for channel in CHANNELS
    }
    return Site(record, (days - evaluated_days) * 24, channels)


def replay(site: Site, folder: Path) -> dict[tuple[str, int], dict[int, Floats]]:
    """Return WVR's (p10, p50, p90) after the training, by channel and horizon, then by hour of issue (index)."""
    site.record.lines.write(folder / "record.csv")
    start = int(site.record.at[0])
    date = datetime.fromtimestamp(start + site.trained_at_hour * HOUR).astimezone().isoformat()
    run("replay", str(folder / "record.csv"), "--data", str(folder / "data"), "--train", date)
    run("export", "predictions", "--data", str(folder / "data"), "--out", str(folder / "predictions.csv"))
    forecasts: dict[tuple[str, int], dict[int, Floats]] = defaultdict(dict)
    for channel, issued, horizon, quantiles in _predictions(folder / "predictions.csv", start):
        if issued >= site.trained_at_hour:
            forecasts[channel, horizon][issued] = quantiles
    return forecasts


def _predictions(path: Path, first: int) -> Iterator[tuple[str, int, int, Floats]]:
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            issued, at = (int(datetime.fromisoformat(row[name]).timestamp()) for name in ("issued_at", "at"))
            quantiles = np.array([float(row[name] or "nan") for name in ("p10", "p50", "p90")])
            yield row["channel"], (issued - first) // HOUR, (at - issued) // HOUR, quantiles


def train_again(site: Site, folder: Path) -> TrainingCost:
    """Measure time and memory of the trainer's child process for both channels, on a replay's stored data."""
    request = TrainingRequest(int(site.record.at[0]) + site.trained_at_hour * HOUR)
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "services.trainer.main", "job", encode_request(request)],
        env=os.environ | {"WVR_DATA": str(folder / "data"), "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return TrainingCost(time.perf_counter() - started, megabytes)


def run(*arguments: str) -> None:
    """Run a command of ./wvr. Raises CalledProcessError."""
    subprocess.run([ROOT / "wvr", *arguments], stdout=subprocess.DEVNULL, check=True)
