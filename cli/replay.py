"""`./wvr replay INPUT --data DIR`: run all services in one process over recorded readings, in event time."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.import_plan import describe_form
from services.db_writer.service import DbWriter
from services.detector.service import Detector
from services.forecaster.service import Forecaster
from services.ingest.dead_letters import DeadLetterFiles
from services.ingest.initial_history import NoInitialHistory
from services.ingest.service import Ingest
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.spool import NullSpool
from services.ingest.tables.headers import TableError
from services.ingest.tables.opening import by_minute, open_readings
from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.output_folder import BufferedOutputFolder
from services.reporter.service import Reporter
from services.trainer.model_selection import ModelSelector
from services.trainer.runner import InProcessRunner
from services.trainer.service import Trainer
from services.trainer.training_job import TrainingJob
from shared.contract.messages import Command, Tick
from shared.models.loader import make_model_loader
from shared.models.registry import ModelRegistry
from shared.runtime.public_holidays import make_calendar
from shared.runtime.replay import Replay, group_by_minute
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings, SettingsError, Site, load_settings
from shared.store.history import History
from shared.store.recorder import Recorder

REPLAY_MARKER = "replay.json"
"""Marks a folder that a replay has filled, so that the next replay may clear it."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr replay", description=__doc__)
    command.add_argument("input", type=Path, help="CSV or text file, .gz too, or a spreadsheet (.xlsx)")
    command.add_argument("--data", type=Path, required=True, help="output folder, like data/")
    command.add_argument("--site", default="", help="path of another site.toml, or another site name")
    command.add_argument("--sensor", default="", help="sensor of a file that names none")
    command.add_argument("--source", default="", metavar="NAME", help="table [source.NAME] of site.toml to use")
    command.add_argument("--train", action="append", default=[], type=datetime.fromisoformat, metavar="DATE")
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    logging.disable(logging.INFO)
    try:
        settings = _settings(options.site, options.data)
        file = open_readings(options.input, settings, (), options.sensor, options.source)
        _clear(options.data)
        figures = replay(by_minute(file), settings, options.train)
        print("\n".join(describe_form(file)))
        print(_report(figures, options))
    except (SettingsError, TableError, OSError) as error:
        print(f"wvr replay: {error}", file=sys.stderr)
        return 1
    return 1 if figures["rejected"] else 0


def replay(source: Iterable[Measurement | BadLine], settings: Settings, train: list[datetime]) -> dict[str, Any]:
    """Replay the items of a file into settings.data. Return the readings, rejected lines, seconds and the rate."""
    started = time.perf_counter()
    recorder = Recorder(settings.database, settings.zone, settings.store.horizons, settings.value_ranges)
    folder = BufferedOutputFolder(settings.sensor_folder)
    ingest, services, db_writer = _services(settings, recorder, folder)
    runner = Replay([ingest, *services], db_writer)
    dates = sorted(date.replace(tzinfo=date.tzinfo or settings.zone) for date in train)
    readings = rejected = 0
    for items, minute in group_by_minute(source):
        bad = sum(isinstance(item, BadLine) for item in items)
        readings, rejected = readings + len(items) - bad, rejected + bad
        if minute is not None:
            while dates and minute >= dates[0]:
                runner.store()
                runner.publish(Command(settings.site.name, "train", f"replay-{dates.pop(0):%Y%m%d}"))
            items.append(Tick(settings.site.name, minute))
        runner.feed(ingest, items)
    runner.store()
    folder.flush()
    recorder.close()
    seconds = time.perf_counter() - started
    return {
        "readings": readings,
        "rejected": rejected,
        "seconds": round(seconds, 2),
        "readings_per_second": round(readings / seconds),
    }


def _services(
    settings: Settings, recorder: Recorder, folder: BufferedOutputFolder
) -> tuple[Ingest, list[Any], DbWriter]:
    site, zone = settings.site.name, settings.zone
    ranges = settings.value_ranges
    history, usable_history = (History(settings.database, zone, site, *bounds) for bounds in ((), (ranges,)))
    bad_lines = DeadLetterFiles(settings.data / "rejected")
    ingest = Ingest(
        site, NullSpool("replay"), "replay", SensorRegistry(settings.sensors), bad_lines, NoInitialHistory()
    )
    holidays = make_calendar(settings.site.country)
    job = TrainingJob(site, zone, settings.data, settings.training, usable_history, time.monotonic, holidays)
    manual_training = settings.training.model_copy(update={"automatic": False})
    started_at = datetime.fromtimestamp(0, zone)
    selector = ModelSelector(site, zone, ModelRegistry(settings.data), usable_history)
    services = [
        Forecaster(site, zone, usable_history, make_model_loader(settings.data), holidays, ranges),
        Detector(settings, history, holidays),
        Trainer(site, zone, manual_training, InProcessRunner(job.train), started_at, selector),
        Reporter(folder, zone, settings.reporter.horizons_hours, settings.reporter.outbox_days, NullHistoryLookup()),
    ]
    retention_days = settings.store.retention_days
    return ingest, services, DbWriter(recorder, site, retention_days, lambda at: datetime.fromtimestamp(at, zone))


def _settings(site: str, data: Path) -> Settings:
    """Return the site's settings, those of another site.toml, or the site's under another name."""
    settings = load_settings(Path(site) if site.endswith(".toml") else None)
    if site and not site.endswith(".toml"):
        settings = settings.model_copy(update={"site": Site(**{**settings.site.model_dump(), "name": site})})
    return settings.model_copy(update={"data": data})


def _clear(data: Path) -> None:
    """Clear the output of an earlier replay. Raises FileExistsError for the database of a site."""
    if (data / "wvr.db").exists() and not (data / REPLAY_MARKER).exists():
        raise FileExistsError(f"{data} holds the wvr.db of a site; choose another folder")
    for path in _left_by_replay(data):
        path.unlink()
    data.mkdir(parents=True, exist_ok=True)
    (data / REPLAY_MARKER).write_text("{}", encoding="ascii")


def _left_by_replay(data: Path) -> Iterator[Path]:
    files = ["wvr.db*", "wvr.lock", "sensor/*.txt", "sensor/outbox/*.txt", "rejected/*.txt"]
    for pattern in [*files, "output/Learning_lstm/**/*.*"] if (data / REPLAY_MARKER).exists() else ():
        yield from (path for path in data.glob(pattern) if path.is_file())


def _report(figures: dict[str, Any], options: argparse.Namespace) -> str:
    (options.data / REPLAY_MARKER).write_text(
        json.dumps({"input": options.input.name, **figures}) + "\n", encoding="utf-8"
    )
    summary = f"{figures['readings']} readings, {figures['rejected']} lines rejected, in {figures['seconds']} s"
    return f"{summary}: {figures['readings_per_second']} readings per second; see {options.data}"
