"""Simulated minutes of flow and pressure through `./wvr replay --train`, and others on the hours that these make."""

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
from services.trainer.training_data import HourlySeries
from services.trainer.training_protocol import TrainingRequest, encode_request
from shared.contract.messages import CHANNELS
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import DAY, HOUR, Floats, hourly_means
from shared.runtime.public_holidays import make_calendar

UTC_OFFSET_SECONDS = 9 * HOUR
DEMAND_EVENTS = ("holiday", "heat", "big_user", "rezoning", "high_demand")
"""Events of the demand itself; hours of all others count for nobody and are told to no rival."""


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


def make_site(seed: int, days: int, judged: int) -> Site:
    """A typical site of a seed, trained so many days before its record ends."""
    record = make_record(seed, "typical", days)
    start, hours = int(record.at[0]), days * 24
    local = (start + UTC_OFFSET_SECONDS) // HOUR + np.arange(hours + FORECAST_HOURS)
    told = np.ones(hours, dtype=bool)
    for event in (event for event in record.events if event.kind not in DEMAND_EVENTS):
        told[max(0, (event.start - start) // HOUR) : max(0, -(-(event.stop - start) // HOUR))] = False
    values = {"flow_rate": record.flow, "pressure": record.pressure}
    holidays = make_calendar("KR")
    channels: dict[str, HourlySeries] = {
        channel: HourlySeries(
            "001",
            channel,
            start,
            np.where(told, hourly_means(record.at, values[channel], start, start + days * DAY).values, np.nan),
            local,
            days,
            holidays,
        )
        for channel in CHANNELS
    }
    return Site(record, (days - judged) * 24, channels)


def replay(site: Site, folder: Path) -> dict[tuple[str, int], dict[int, Floats]]:
    """WVR's (p10, p50, p90) by channel and hours ahead, and hour of issue (index), after the training."""
    site.record.lines.write(folder / "record.csv")
    date = datetime.fromtimestamp(int(site.record.at[0]) + site.trained_at_hour * HOUR).astimezone().isoformat()
    run("replay", str(folder / "record.csv"), "--data", str(folder / "data"), "--train", date)
    run("export", "predictions", "--data", str(folder / "data"), "--out", str(folder / "predictions.csv"))
    found: dict[tuple[str, int], dict[int, Floats]] = defaultdict(dict)
    for channel, issued, ahead, quantiles in _predictions(folder / "predictions.csv", int(site.record.at[0])):
        if issued >= site.trained_at_hour:
            found[channel, ahead][issued] = quantiles
    return found


def _predictions(path: Path, first: int) -> Iterator[tuple[str, int, int, Floats]]:
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            issued, at = (int(datetime.fromisoformat(row[name]).timestamp()) for name in ("issued_at", "at"))
            quantiles = np.array([float(row[name] or "nan") for name in ("p10", "p50", "p90")])
            yield row["channel"], (issued - first) // HOUR, (at - issued) // HOUR, quantiles


def train_again(site: Site, folder: Path) -> TrainingCost:
    """Time and memory of the trainer's own child, both channels, on what a replay has stored."""
    plan = TrainingRequest(int(site.record.at[0]) + site.trained_at_hour * HOUR)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "services.trainer.main", "job", encode_request(plan)],
        env=os.environ | {"WVR_DATA": str(folder / "data"), "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=ROOT, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return TrainingCost(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


def run(*arguments: str) -> None:
    """A command of ./wvr. Raises CalledProcessError."""
    subprocess.run([ROOT / "wvr", *arguments], stdout=subprocess.DEVNULL, check=True)
