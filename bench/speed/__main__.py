"""`python -m bench.speed`: how fast and how small WVR is; one table, kept in docs/results/speed.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bench.speed.live import backlog_catch_up, following_site, percentile, resident_memory, verdict_delays
from bench.speed.records import START_SECONDS, ZONE, write_record
from bench.table import publish
from cli.bootstrap import ROOT
from services.detector.service import Detector
from services.forecaster.main import make_model_loader
from services.forecaster.service import Forecaster
from services.trainer.training_job import TrainingJob
from services.trainer.training_protocol import TrainingFailed, TrainingRequest
from shared.contract.messages import CHANNELS, Forecast, Message, Prediction, Reading, Tick
from shared.domain.series import DAY, HOUR, MINUTE
from shared.runtime.public_holidays import make_calendar
from shared.settings import load_settings
from shared.store.history import History

YEAR_MINUTES, QUARTER_DAYS = 525_600, 91
NINE_MONTHS_MINUTES = 396_001
HEADER = ("what", "measured", "must", "goal")


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__).parse_args()
    run_seconds("replay", "--help")  # installs packages, which would be counted else
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            *replay_row(folder), *judging_row(folder), *import_row(folder), *learning_rows(folder), *live_rows(folder),
        ]  # fmt: skip
    publish("speed", "Speed and size", "python -m bench.speed", HEADER, rows)


def replay_row(folder: Path) -> Iterator[tuple[str, ...]]:
    write_record(folder / "year.csv", YEAR_MINUTES)
    took = run_seconds("replay", str(folder / "year.csv"), "--data", str(folder / "year"))
    figures = json.loads((folder / "year/replay.json").read_text(encoding="ascii"))
    what = f"replay of a sensor-year, {figures['readings']} minutes, {figures['readings_per_second']}/s"
    yield what, f"{took:.1f} s", "120 s", "60 s"


def judging_row(folder: Path) -> Iterator[tuple[str, ...]]:
    """The detector alone, its days, nights and a quarter's learning with it; its first quarter isn't counted."""
    settings = load_settings().model_copy(update={"data": folder / "year"})
    history = History(settings.database, ZONE, settings.site.name)
    detector = Detector(settings, history, make_calendar(settings.site.country))
    spent = 0.0
    for day in range(2 * QUARTER_DAYS):
        messages = list(_replayed_day(history, settings.site.name, START_SECONDS + day * DAY))
        began = time.process_time()
        for message in messages:
            list(detector.handle(message))
        spent += (time.process_time() - began) if day >= QUARTER_DAYS else 0.0
    yield "a reading judged, both channels", f"{1e6 * spent / (QUARTER_DAYS * 1440):.0f} µs", "40 µs", "20 µs"


def _replayed_day(history: History, site: str, start: int) -> Iterator[Message]:
    """What the detector hears of a day that was replayed."""
    series, forecasts = (
        history.readings("001", start, start + DAY),
        history.current_hour_forecasts("001", start, start + DAY),
    )
    for at, flow, pressure in zip(series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist(), strict=True):
        local = datetime.fromtimestamp(at, ZONE)
        if at in forecasts:
            foreseen = [_forecast(forecasts[at].get(channel)) for channel in CHANNELS]
            yield Prediction(site, "001", local, foreseen[0], foreseen[1])
        yield Reading(site, "001", local, flow, pressure, "bench", 0, "bench")


def _forecast(quantiles: tuple[float, float, float] | None) -> Forecast:
    return Forecast("profile", *((one,) for one in quantiles)) if quantiles else Forecast("profile")


def import_row(folder: Path) -> Iterator[tuple[str, ...]]:
    write_record(folder / "nine.csv", NINE_MONTHS_MINUTES)
    runs = [run_seconds("import", str(folder / "nine.csv"), "--data", str(folder / f"nine-{run}")) for run in range(3)]
    yield "import of 396,001 rows, median of 3", f"{statistics.median(runs):.1f} s", "8 s", "2 s"


def learning_rows(folder: Path) -> Iterator[tuple[str, ...]]:
    settings = load_settings().model_copy(update={"data": folder / "year"})
    history = History(settings.database, ZONE, settings.site.name)
    began = time.perf_counter()
    cores = len(os.sched_getaffinity(0))
    job = TrainingJob(
        settings.site.name, ZONE, settings.data, settings.training, history, time.monotonic, workers=cores
    )
    for record in job.train(TrainingRequest(START_SECONDS + YEAR_MINUTES * MINUTE)):
        if isinstance(record, TrainingFailed):
            sys.exit(record.text)
    yield "training of both channels on a year", f"{time.perf_counter() - began:.0f} s", "600 s", "180 s"
    forecaster = Forecaster(
        settings.site.name, ZONE, history, make_model_loader(settings.data), make_calendar(settings.site.country)
    )
    list(forecaster.start())
    runs = []
    for hour in range(51):
        tick = Tick(
            settings.site.name,
            datetime.fromtimestamp(START_SECONDS + YEAR_MINUTES * MINUTE + hour * HOUR - MINUTE, ZONE),
        )
        began = time.perf_counter()
        list(forecaster.handle(tick))
        runs.append(1000 * (time.perf_counter() - began))
    yield "one forecast of both channels, median of 50", f"{statistics.median(runs):.2f} ms", "50 ms", ""


def live_rows(folder: Path) -> Iterator[tuple[str, ...]]:
    with following_site(folder / "live") as site:
        found = verdict_delays(site)
        weights = resident_memory(site)
        took, late = backlog_catch_up(site)
    text = f"{percentile(found, 99):.0f} ms (median {statistics.median(found):.0f} ms)"
    yield "reading published to verdict stored and alert.txt written, 99th percentile", text, "250 ms", "50 ms"
    text = f"{took:.1f} s (meanwhile a new minute: median {statistics.median(late):.0f} ms, at most {max(late):.0f} ms)"
    yield "backlog of a week, 10,080 minutes, stored and judged while new minutes come", text, "30 s", "10 s"
    total = sum(weights.values())
    parts = ", ".join(f"{name} {weight:.0f}" for name, weight in sorted(weights.items()))
    yield f"resident memory of broker and six services, trainer idle ({parts})", f"{total:.0f} MB", "600 MB", "350 MB"


def run_seconds(*arguments: str) -> float:
    """Wall time of a command of ./wvr."""
    began = time.perf_counter()
    done = subprocess.run([ROOT / "wvr", *arguments], env=os.environ, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"./wvr {' '.join(arguments)} failed")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
