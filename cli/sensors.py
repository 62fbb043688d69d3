"""`./wvr sensors`: list the sensors; `retire` one that has ended, or `rename` one that has another name now."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from cli.broker_client import send_command
from services.db_writer.sensor_commands import refusal_text, renamed_text, retired_text
from shared.contract.messages import CHANNELS, Channel, Command, CommandName
from shared.contract.service import Unavailable
from shared.settings import Settings, SettingsError, load_settings
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.writer_lock import WriterLockHeld

HEADER = ("sensor", "flow rate every", "pressure every", "newest reading", "judged since", "forecast since", "remark")
CADENCE_READINGS = 200
"""Newest readings whose median interval is shown."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr sensors", description=__doc__)
    actions = command.add_subparsers(dest="what", metavar="retire|rename")
    retire = actions.add_parser("retire", help="drop a sensor that has ended from alert.txt and doctor")
    retire.add_argument("sensor")
    rename = actions.add_parser("rename", help="give the history of a sensor to the name under which it sends now")
    rename.add_argument("sensor")
    rename.add_argument("to")
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        settings = load_settings()
        if options.what is None:
            return _list(settings)
        return _change(settings, options.what, sensor=options.sensor, to=getattr(options, "to", ""))
    except (SettingsError, OSError, Unavailable) as error:
        print(f"wvr sensors: {error}", file=sys.stderr)
        return 1


def cadence_seconds(history: History, sensor: str, channel: Channel) -> float | None:
    """Return the median interval between the newest readings with a value of a channel; None with less than two."""
    times = history.newest_times(sensor, channel, CADENCE_READINGS)
    return statistics.median(after - before for before, after in pairwise(times)) if len(times) > 1 else None


def _change(settings: Settings, name: CommandName, sensor: str, to: str) -> int:
    """Ask the running db_writer, or do it here under the writer lock if the site is stopped."""
    if to and settings.sensors and to not in settings.sensors:
        print(f"wvr sensors: site.toml has no [sensors.{to}]: rename [sensors.{sensor}] there first", file=sys.stderr)
        return 1
    try:
        recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
    except WriterLockHeld:
        return send_command(settings, name, sensor=sensor, to=to)
    try:
        site = settings.site.name
        command = Command(site, name, "local", {"sensor": sensor, "to": to})
        if refusal := refusal_text(recorder, site, command, datetime.now(settings.zone)):
            print(f"wvr sensors: {refusal.en}", file=sys.stderr)
            return 1
        if name == "retire":
            recorder.retire(site, sensor)
        else:
            recorder.rename(site, sensor, to)
    finally:
        recorder.close()
    print((retired_text(sensor) if name == "retire" else renamed_text(sensor, to)).en)
    return 0


def _list(settings: Settings) -> int:
    history = History(settings.database, settings.zone, settings.site.name)
    rows = [HEADER, *_rows(history, settings)]
    if len(rows) == 1:
        print(f"no sensor has readings in {settings.database} yet")
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER) - 1)]
    for row in rows:
        line = "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]])
        print(line.rstrip())
    return 0


def _rows(history: History, settings: Settings) -> Iterator[tuple[str, ...]]:
    retired = history.retired()

    def local(at: int | None) -> str:
        return "" if at is None else f"{datetime.fromtimestamp(at, settings.zone):%Y-%m-%d %H:%M}"

    for sensor in history.sensors():
        span, judged = history.reading_range(sensor), history.criteria_since(sensor)
        forecast, is_retired = history.forecast_since(sensor), sensor in retired
        cadences = [_duration(cadence_seconds(history, sensor, channel)) for channel in CHANNELS]
        remarks = ["retired"] if is_retired else []
        remarks += [] if judged or is_retired else ["not judged: no limits learned yet"]
        remarks += [] if forecast or is_retired else ["not forecast: too few readings"]
        yield (sensor, *cadences, local(span and span[1]), local(judged), local(forecast), "; ".join(remarks))


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:g} s"
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"
