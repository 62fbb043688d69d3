"""`./wvr sensors`: list the sensors; `retire` one that has ended, or `rename` one that has another name now."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime

from cli.broker_client import send_command
from services.db_writer.sensor_commands import refusal_text, renamed_text, retired_text
from shared.contract.messages import Cadence, Command, CommandName
from shared.contract.service import Unavailable
from shared.settings import Settings, SettingsError, load_settings
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.writer_lock import WriterLockHeld

HEADER = ("sensor", "flow rate every", "pressure every", "newest reading", "judged since", "forecast since", "remark")


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

    def local(at: datetime | None) -> str:
        return f"{at:%Y-%m-%d %H:%M}" if at else ""

    for sensor in history.sensors():
        span, is_retired = history.reading_range(sensor), sensor in retired
        states = {state.service: state for state in history.sensor_states(sensor)}
        detector, forecaster = states.get("detector"), states.get("forecaster")
        cadences = [
            _every(cadence) for cadence in ((detector.flow_rate, detector.pressure) if detector else (None, None))
        ]
        since = [local(state.since) if state and state.since else "" for state in (detector, forecaster)]
        remarks = [state.text.en for state in (detector, forecaster) if state and not state.is_active]
        remark = "retired" if is_retired else "; ".join(remarks)
        yield (sensor, *cadences, local(span and datetime.fromtimestamp(span[1], settings.zone)), *since, remark)


def _every(cadence: Cadence | None) -> str:
    return f"{cadence.interval_minutes} min" if cadence else "unknown"
