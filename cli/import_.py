"""`./wvr import FILE`: import past readings through the running site, or under the writer lock if it is stopped."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

from cli.bootstrap import CommandError
from cli.broker_client import send_history
from cli.import_plan import (
    Plan,
    count,
    count_unstored,
    describe_form,
    describe_readings,
    describe_rows,
    make_plan,
    plural,
)
from services.ingest.tables.headers import TableError
from services.ingest.tables.opening import open_readings
from shared.contract.messages import HISTORY_PART_MINUTES, HistoryBatch
from shared.contract.service import Unavailable
from shared.contract.texts import localized
from shared.runtime.history_sender import HistorySender
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings, SettingsError, load_settings
from shared.store.history import History as Stored
from shared.store.recorder import Recorder
from shared.store.writer_lock import WriterLockHeld


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
        now = datetime.now(settings.zone)
        plan = make_plan(file, SensorRegistry(settings.sensors, history.sensors), history, now)
        print("\n".join([*describe_form(file), *describe_rows(file), *describe_readings(plan)]))
        print("".join(f"{line}\n" for line in plan.refusals.describe()), file=sys.stderr, end="")
        sender = make_sender(plan, settings.site.name, options.replace)
        if options.dry_run or not sender.parts or not _is_agreed(options.yes, plan, options.replace):
            print(f"{_counts(plan, options.replace, 'would be ')} (nothing is written)")
        else:
            began = time.perf_counter()
            outcome = _store(sender, settings)
            _check_stored(plan, history, options.replace)
            print(f"{_counts(plan, options.replace)}; {outcome} in {time.perf_counter() - began:.2f} s")
    except Unavailable as error:
        print(f"wvr import: {error.problem.text.ko}\n{error.problem.text.en}", file=sys.stderr)
        return 1
    except (SettingsError, TableError, OSError) as error:
        print(f"wvr import: {error}", file=sys.stderr)
        return 1
    return 1 if plan.refusals.number else 0


def make_sender(plan: Plan, site: str, replace: bool) -> HistorySender:
    """Return the sender of the new readings of each sensor, and of the different ones if they replace."""
    slices = [
        (sensor, rows, first, is_replacing)
        for minutes, is_replacing in ((plan.new, False), (plan.different if replace else {}, True))
        for sensor, rows in minutes.items()
        for first in range(0, len(rows), HISTORY_PART_MINUTES)
    ]

    def make_part(number: int, transfer: str) -> HistoryBatch:
        sensor, rows, first, is_replacing = slices[number - 1]
        return HistoryBatch(
            site=site,
            sensor=sensor,
            source="import",
            part=number,
            of=len(slices),
            minutes=tuple(rows[first : first + HISTORY_PART_MINUTES]),
            replace=is_replacing,
            transfer=transfer,
        )

    return HistorySender(len(slices), make_part)


def _counts(plan: Plan, replace: bool, verb: str = "") -> str:
    return (
        f"{plural(count(plan.new), 'reading')} {verb}stored, {plan.equal} already there and equal, "
        f"{count(plan.different)} already there and different ({verb + 'replaced' if replace else 'kept'}), "
        f"{plural(plan.refusals.number, 'line')} refused"
    )


def _is_agreed(yes: bool, plan: Plan, replace: bool) -> bool:
    """Ask whether to store. Raises CommandError without a terminal."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise CommandError("nothing is stored: pass --yes to store what is shown above, --dry-run to see it only")
    replaced = f" and replace {count(plan.different)}" if replace else ""
    answer = input(f"Store {plural(count(plan.new), 'reading')}{replaced}? [y/N] ")
    return answer.strip().casefold() in ("y", "yes", "예", "네")


def _check_stored(plan: Plan, history: Stored, replace: bool) -> None:
    """Raise CommandError if a reading is not in the database."""
    if lost := count_unstored(plan.new, history) + (count_unstored(plan.different, history) if replace else 0):
        text = localized(
            "계측값 {lost}건이 저장되지 않았습니다. ./wvr status를 확인하고 같은 파일을 다시 가져오십시오.",
            "{readings} not stored; see ./wvr status, then import the file again",
            lost=lost,
            readings=plural(lost, "reading"),
        )
        raise CommandError(f"{text.ko}\n{text.en}")


def _store(sender: HistorySender, settings: Settings) -> str:
    """Store all parts, and return by whom. Raises CommandError, Unavailable if a part is not stored."""
    try:
        recorder = Recorder(settings.database, settings.zone, settings.store.horizons, settings.value_ranges)
    except WriterLockHeld:
        send_history(settings, sender)
        return "by the running site"
    try:
        for part in sender.all_parts():
            recorder.write([part])
    finally:
        recorder.close()
    return "directly"
