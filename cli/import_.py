"""`./wvr import FILE`: import past readings through the running site, or under the writer lock if it is stopped."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cli.bootstrap import CommandError
from cli.broker_client import publish_and_wait
from cli.import_plan import Plan, count, count_unstored, describe_form, describe_readings, describe_rejected, make_plan
from services.ingest.tables.headers import TableError
from services.ingest.tables.opening import open_readings
from shared.contract.messages import HistoryBatch, Message, Progress
from shared.contract.service import Unavailable
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings, SettingsError, load_settings
from shared.store.history import History as Stored
from shared.store.recorder import Recorder
from shared.store.writer_lock import WriterLockHeld

BATCH_MINUTES = 5000
"""Readings in one message."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr import", description=__doc__)
    command.add_argument("file", type=Path, help="CSV or text file, .gz too, or a spreadsheet (.xlsx)")
    command.add_argument("--data", type=Path, help="data folder; default: the site's own")
    command.add_argument("--yes", action="store_true", help="store without asking")
    command.add_argument("--dry-run", action="store_true", help="show what was understood and store nothing")
    command.add_argument("--replace", action="store_true", help="replace readings that are there and different")
    command.add_argument("--sensor", default="", help="sensor of a file that names none")
    command.add_argument("--source", default="", metavar="NAME", help="table [source.NAME] of site.toml to use")
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        settings = load_settings()
        settings = settings.model_copy(update={"data": options.data}) if options.data else settings
        history = Stored(settings.database, settings.zone, settings.site.name)
        file = open_readings(options.file, settings, history.sensors(), options.sensor, options.source)
        plan = make_plan(file, SensorRegistry(settings.sensors, history.sensors), history)
        print("\n".join([*describe_form(file), *describe_readings(plan)]))
        print("".join(f"{line}\n" for line in describe_rejected(plan)), file=sys.stderr, end="")
        parts = list(in_batches(plan, settings.site.name, options.replace))
        if options.dry_run or not parts or not _is_agreed(options.yes, plan, options.replace):
            print(f"{_counts(plan, options.replace, 'would be ')} (nothing is written)")
        else:
            began = time.perf_counter()
            outcome = _store(parts, settings)
            _check_stored(plan, history, options.replace)
            print(f"{_counts(plan, options.replace)}; {outcome} in {time.perf_counter() - began:.2f} s")
    except (SettingsError, TableError, OSError, Unavailable) as error:
        print(f"wvr import: {error}", file=sys.stderr)
        return 1
    return 1 if plan.rejected else 0


def in_batches(plan: Plan, site: str, replace: bool) -> Iterator[HistoryBatch]:
    """Yield the new readings of each sensor as HistoryBatch messages, and the different ones if they replace."""
    slices = [
        (sensor, rows[at : at + BATCH_MINUTES], is_replacing)
        for minutes, is_replacing in ((plan.new, False), (plan.different if replace else {}, True))
        for sensor, rows in minutes.items()
        for at in range(0, len(rows), BATCH_MINUTES)
    ]
    for number, (sensor, rows, is_replacing) in enumerate(slices, 1):
        yield HistoryBatch(
            site=site,
            sensor=sensor,
            source="import",
            part=number,
            of=len(slices),
            minutes=tuple(rows),
            replace=is_replacing,
        )


def _counts(plan: Plan, replace: bool, verb: str = "") -> str:
    return (
        f"{count(plan.new)} readings {verb}stored, {plan.equal} already there and equal, "
        f"{count(plan.different)} already there and different ({verb + 'replaced' if replace else 'kept'}), "
        f"{len(plan.rejected)} lines rejected"
    )


def _is_agreed(yes: bool, plan: Plan, replace: bool) -> bool:
    """Ask whether to store. Raises CommandError without a terminal."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise CommandError("nothing is stored: pass --yes to store what is shown above, --dry-run to see it only")
    replaced = f" and replace {count(plan.different)}" if replace else ""
    answer = input(f"Store {count(plan.new)} readings{replaced}? [y/N] ")
    return answer.strip().casefold() in ("y", "yes", "예", "네")


def _check_stored(plan: Plan, history: Stored, replace: bool) -> None:
    """Raise CommandError if a reading is not in the database."""
    if lost := count_unstored(plan.new, history) + (count_unstored(plan.different, history) if replace else 0):
        raise CommandError(f"{lost} readings are not stored; see ./wvr status, then import the file again")


def _store(parts: list[HistoryBatch], settings: Settings) -> str:
    try:
        recorder = Recorder(settings.database, settings.zone, settings.store.horizons, settings.value_ranges)
    except WriterLockHeld:
        publish_and_wait(settings, parts, lambda message: _stored(message, parts))
        return "by the running site"
    recorder.write(parts)
    recorder.close()
    return "directly"


def _stored(message: Message, parts: list[HistoryBatch]) -> bool:
    return isinstance(message, Progress) and message.job == "import" and message.step == message.of == len(parts)
