"""`python -m bench.speed`: speed and memory of WVR; one table, kept in docs/results/speed.md."""

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
from services.forecaster.service import Forecaster
from services.trainer.training_job import TrainingJob
from services.trainer.training_protocol import TrainingFailed, TrainingRequest
from shared.contract.messages import CHANNELS, Forecast, Message, Prediction, Reading, Tick
from shared.domain.series import DAY, HOUR, MINUTE
from shared.models.loader import make_model_loader
from shared.runtime.public_holidays import make_calendar
from shared.settings import load_settings
from shared.store.history import History

YEAR_MINUTES, QUARTER_DAYS = 525_600, 91
NINE_MONTHS_MINUTES = 396_001
HEADER = ("what", "measured", "required", "goal")


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__).parse_args()
    run_seconds("replay", "--help")  # installs packages, whose time must not be measured
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            *replay_row(folder),
            *detector_row(folder),
            *import_row(folder),
            *forecasting_rows(folder),
            *live_rows(folder),
        ]
    publish("speed", "Speed and size", "python -m bench.speed", HEADER, rows)


def replay_row(folder: Path) -> Iterator[tuple[str, ...]]:
    write_record(folder / "year.csv", YEAR_MINUTES)
    duration = run_seconds("replay", str(folder / "year.csv"), "--data", str(folder / "year"))
    figures = json.loads((folder / "year/replay.json").read_text(encoding="ascii"))
    what = f"replay of a sensor-year, {figures['readings']} minutes, {figures['readings_per_second']}/s"
    yield what, f"{duration:.1f} s", "120 s", "60 s"


def detector_row(folder: Path) -> Iterator[tuple[str, ...]]:
    """Measure the detector over two quarters, daily, nightly and quarterly work included; only the second counts."""
    settings = load_settings().model_copy(update={"data": folder / "year"})
    history = History(settings.database, ZONE, settings.site.name)
    detector = Detector(settings, history, make_calendar(settings.site.country))
    seconds = 0.0
    for day in range(2 * QUARTER_DAYS):
        messages = list(_replayed_day(history, settings.site.name, START_SECONDS + day * DAY))
        started = time.process_time()
        for message in messages:
            list(detector.handle(message))
        seconds += (time.process_time() - started) if day >= QUARTER_DAYS else 0.0
    yield "a reading judged, both channels", f"{1e6 * seconds / (QUARTER_DAYS * 1440):.0f} µs", "40 µs", "20 µs"


def _replayed_day(history: History, site: str, start: int) -> Iterator[Message]:
    """Yield the detector's messages of a replayed day."""
    series, forecasts = (
        history.readings("001", start, start + DAY),
        history.current_hour_forecasts("001", start, start + DAY),
    )
    for at, flow, pressure in zip(series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist(), strict=True):
        local = datetime.fromtimestamp(at, ZONE)
        if at in forecasts:
            flow_forecast, pressure_forecast = [_forecast(forecasts[at].get(channel)) for channel in CHANNELS]
            yield Prediction(
                site=site, sensor="001", issued_at=local, flow_rate=flow_forecast, pressure=pressure_forecast
            )
        yield Reading(
            site=site, sensor="001", at=local, flow_rate=flow, pressure=pressure, boot_id="bench", seq=0, source="bench"
        )


def _forecast(quantiles: tuple[float, float, float] | None) -> Forecast:
    return Forecast("profile", *((quantile,) for quantile in quantiles)) if quantiles else Forecast("profile")


def import_row(folder: Path) -> Iterator[tuple[str, ...]]:
    write_record(folder / "nine.csv", NINE_MONTHS_MINUTES)
    nine = str(folder / "nine.csv")
    runs = [run_seconds("import", nine, "--data", str(folder / f"nine-{run}"), "--yes") for run in range(3)]
    yield "import of 396,001 rows, median of 3", f"{statistics.median(runs):.1f} s", "8 s", "2 s"


def forecasting_rows(folder: Path) -> Iterator[tuple[str, ...]]:
    settings = load_settings().model_copy(update={"data": folder / "year"})
    history = History(settings.database, ZONE, settings.site.name)
    started = time.perf_counter()
    cores = len(os.sched_getaffinity(0))
    job = TrainingJob(
        settings.site.name, ZONE, settings.data, settings.training, history, time.monotonic, workers=cores
    )
    for record in job.train(TrainingRequest(START_SECONDS + YEAR_MINUTES * MINUTE)):
        if isinstance(record, TrainingFailed):
            sys.exit(record.text.en)
    yield "training of both channels on a year", f"{time.perf_counter() - started:.0f} s", "600 s", "180 s"
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
        started = time.perf_counter()
        list(forecaster.handle(tick))
        runs.append(1000 * (time.perf_counter() - started))
    yield "one forecast of both channels, median of 50", f"{statistics.median(runs):.2f} ms", "50 ms", ""


def live_rows(folder: Path) -> Iterator[tuple[str, ...]]:
    with following_site(folder / "live") as site:
        delays = verdict_delays(site)
        megabytes = resident_memory(site)
        duration, live_delays = backlog_catch_up(site)
    text = f"{percentile(delays, 99):.0f} ms (median {statistics.median(delays):.0f} ms)"
    yield "reading published to verdict stored and alert.txt written, 99th percentile", text, "250 ms", "50 ms"
    live_text = f"median {statistics.median(live_delays):.0f} ms, at most {max(live_delays):.0f} ms"
    text = f"{duration:.1f} s (meanwhile a new minute: {live_text})"
    yield "backlog of a week, 10,080 minutes, stored and judged while new minutes come", text, "30 s", "10 s"
    total = sum(megabytes.values())
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sorted(megabytes.items()))
    yield f"resident memory of broker and six services, trainer idle ({parts})", f"{total:.0f} MB", "600 MB", "350 MB"


def run_seconds(*arguments: str) -> float:
    """Run a command of ./wvr and return its wall time in seconds."""
    started = time.perf_counter()
    process = subprocess.run([ROOT / "wvr", *arguments], env=os.environ, stdout=subprocess.DEVNULL, check=False)
    if process.returncode:
        sys.exit(f"./wvr {' '.join(arguments)} failed")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
