"""`./wvr replay INPUT --data DIR`: run all services in one process over recorded readings, in event time."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from cli.bootstrap import CommandError
from cli.import_plan import Refusals, describe_form, describe_rows, plural
from services.db_writer.service import DbWriter
from services.detector.service import Detector
from services.forecaster.service import Forecaster
from services.ingest.dead_letters import DeadLetterFiles
from services.ingest.initial_history import NoInitialHistory
from services.ingest.minutes import Values
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
from shared.contract.messages import Command, Message, Rejected, Tick
from shared.contract.status_codes import problem
from shared.models.loader import make_model_loader
from shared.models.registry import ModelRegistry
from shared.runtime.processor import can_run_tensorflow
from shared.runtime.public_holidays import make_calendar
from shared.runtime.replay import Replay, group_by_minute
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings, SettingsError, load_settings
from shared.settings.sections import Site
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
        if options.train and not can_run_tensorflow():
            raise CommandError(f"--train: {problem('processor_without_avx').text.en}")
        file = open_readings(options.input, settings, (), options.sensor, options.source)
        _clear(options.data)
        print("\n".join(describe_form(file)), flush=True)
        outcome = replay(by_minute(file), settings, options.train)
        print("".join(f"{line}\n" for line in (*describe_rows(file), *outcome.describe_gaps())), end="")
        print("".join(f"{line}\n" for line in outcome.refusals.describe()), file=sys.stderr, end="")
        print(_report(outcome, options))
    except (SettingsError, TableError, OSError) as error:
        print(f"wvr replay: {error}", file=sys.stderr)
        return 1
    return 1 if outcome.refusals.number else 0


@dataclass
class Outcome:
    """What a replay did with the items of a file."""

    stored: int = 0
    """Minutes in the database."""
    equal: int = 0
    different: int = 0
    """Repeated minutes of the file, with the stored values and with others; the first is kept."""
    doubted: int = 0
    """Stored minutes whose time is not believed."""
    refusals: Refusals = field(default_factory=Refusals)
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)
    """First and end of the spans without readings that were skipped."""
    seconds: float = 0.0

    def describe_gaps(self) -> Iterator[str]:
        """Yield the skipped spans and the doubted readings, one line each."""
        for start, stop in self.gaps:
            days = plural(round((stop - start) / timedelta(days=1)), "day")
            yield f"skipped: {days} without readings, from {start:%Y-%m-%d %H:%M%z} to {stop:%Y-%m-%d %H:%M%z}"
        if self.doubted:
            yield f"time not believed: {plural(self.doubted, 'reading')} (column clock of REAL_VAL_TB)"


class ReplayCounter:
    """Service that counts what becomes of the items of a file; it receives only what is refused."""

    name: ClassVar[str] = "replay_counter"
    consumes: ClassVar[tuple[type[Message], ...]] = (Rejected,)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.refusals = Refusals()
        self._items = 0
        self._newest: dict[str, datetime] = {}
        self._late: list[Measurement] = []
        """Measurements that are not newer than all before: only these can repeat a minute."""

    def add(self, items: Iterable[Measurement | BadLine]) -> None:
        """Count items before ingest gets them."""
        for item in items:
            self._items += 1
            if isinstance(item, Measurement):
                newest = self._newest.get(item.sensor)
                if newest is not None and item.at <= newest:
                    self._late.append(item)
                else:
                    self._newest[item.sensor] = item.at

    def start(self) -> Iterator[Message]:
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Rejected):
            self.refusals.add(message.source if ":" in message.source else "", message.reason.en)
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        return iter(())

    def outcome(self, values_of: Callable[[str, datetime], Values], stored: int, doubted: int) -> Outcome:
        """Compare with the stored minutes; `values_of` returns the stored values of a sensor's minute."""
        repeated = self._items - self.refusals.number - stored
        others = sum(values_of(late.sensor, late.at) != (late.flow_rate, late.pressure) for late in self._late)
        different = min(others, repeated)  # a late one may be among the refused
        return Outcome(stored, repeated - different, different, doubted, self.refusals)


def replay(source: Iterable[Measurement | BadLine], settings: Settings, train: list[datetime]) -> Outcome:
    """Replay the items of a file into settings.data."""
    started = time.perf_counter()
    recorder = Recorder(settings.database, settings.zone, settings.store.horizons, settings.value_ranges)
    folder = BufferedOutputFolder(settings.sensor_folder)
    ingest, services, db_writer = _services(settings, recorder, folder)
    counter, gaps = ReplayCounter(), list[tuple[datetime, datetime]]()
    runner = Replay([ingest, counter, *services], db_writer)
    dates = sorted(date.replace(tzinfo=date.tzinfo or settings.zone) for date in train)
    for items, minute in group_by_minute(source, lambda start, stop: gaps.append((start, stop))):
        counter.add(items)
        if minute is not None:
            while dates and minute >= dates[0]:
                runner.store()
                runner.publish(Command(settings.site.name, "train", f"replay-{dates.pop(0):%Y%m%d}"))
            items.append(Tick(settings.site.name, minute))
        runner.feed(ingest, items)
    runner.store()
    folder.flush()
    recorder.close()
    history = History(settings.database, settings.zone, settings.site.name)
    outcome = counter.outcome(history.stored_values, *history.count_readings())
    outcome.gaps, outcome.seconds = gaps, time.perf_counter() - started
    return outcome


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
        Reporter(
            folder,
            zone,
            settings.reporter.horizons_hours,
            settings.reporter.outbox_days,
            NullHistoryLookup(),
            settings.reporter.repeated_column,
        ),
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


def _report(outcome: Outcome, options: argparse.Namespace) -> str:
    rate = round((outcome.stored + outcome.equal + outcome.different) / outcome.seconds)
    figures = {
        "input": options.input.name,
        "stored": outcome.stored,
        "equal": outcome.equal,
        "different": outcome.different,
        "refused": outcome.refusals.number,
        "seconds": round(outcome.seconds, 2),
        "readings_per_second": rate,
    }
    (options.data / REPLAY_MARKER).write_text(json.dumps(figures) + "\n", encoding="utf-8")
    return (
        f"{plural(outcome.stored, 'reading')} stored, {outcome.equal} already there and equal, "
        f"{outcome.different} already there and different (kept), {plural(outcome.refusals.number, 'line')} refused; "
        f"in {outcome.seconds:.2f} s, {plural(rate, 'reading')} per second; see {options.data}"
    )
