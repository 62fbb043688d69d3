"""`./wvr alarms`: list the incidents; show one with its timeline and plot, acknowledge it, close it with its cause."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cli.bootstrap import CommandError, reexec_in_venv
from cli.broker_client import send_command
from services.dashboard.queries.database import Database
from services.dashboard.queries.incidents import (
    CAUSES,
    Incident,
    TimelineEntry,
    find_incident,
    read_incidents,
    read_timeline,
)
from services.dashboard.queries.site_time import DAY
from shared.contract.service import Unavailable
from shared.settings import Settings, SettingsError, load_settings

HEADER = ("id", "severity", "what", "state", "since", "until", "m3/h", "m3", "cause")
DEFAULT_DAYS = 31
PHASE_NAMES = {"unconfirmed": "cleared, not acknowledged", "acknowledged": "open, acknowledged"}
TIME_FORMAT = "%Y-%m-%d %H:%M"


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr alarms", description=__doc__)
    command.add_argument("--days", type=int, default=DEFAULT_DAYS, help="also those of so many days; default: 31")
    actions = command.add_subparsers(dest="what", metavar="show|acknowledge|unacknowledge|close")
    show = actions.add_parser("show", help="show an incident with its timeline")
    show.add_argument("--plot", type=Path, metavar="FILE.png", help="draw what was measured and expected")
    acknowledge = actions.add_parser("acknowledge", help="say that somebody takes care of it")
    unacknowledge = actions.add_parser("unacknowledge", help="take an acknowledgement back")
    close = actions.add_parser("close", help="close it with the cause that was found")
    close.add_argument("--cause", required=True, choices=CAUSES)
    for action in (show, acknowledge, unacknowledge, close):
        action.add_argument("id", help="id from ./wvr alarms")
    for action in (acknowledge, unacknowledge, close):
        action.add_argument("--note", default="", help="a remark")
        action.add_argument("--by", default="", metavar="NAME", help="default: the user of this machine")
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        settings = load_settings()
        if options.what is None:
            return _list(settings, options.days)
        if options.what == "show":
            return _show(settings, options.id, options.plot)
        cause = getattr(options, "cause", "")
        by = options.by or getpass.getuser()
        return send_command(settings, options.what, id=options.id, by=by, note=options.note, cause=cause)
    except (SettingsError, OSError, Unavailable, CommandError) as error:
        print(f"wvr alarms: {error}", file=sys.stderr)
        return 1


def _database(settings: Settings) -> Database:
    return Database(settings.database, settings.zone, settings.site.name, settings.value_ranges)


def _list(settings: Settings, days: int) -> int:
    with _database(settings).opened() as database:
        incidents = read_incidents(database, int(time.time()) - days * DAY)
    if not incidents:
        print(f"no incident is open, and none was opened in the last {days} days")
        return 0
    rows = [HEADER, *(_row(settings, incident) for incident in incidents)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _row(settings: Settings, incident: Incident) -> tuple[str, ...]:
    is_over = incident.state == "cleared"
    return (
        incident.id,
        incident.severity,
        incident.label.en,
        PHASE_NAMES.get(incident.phase, incident.phase),
        _time(settings, incident.onset_at),
        _time(settings, incident.cleared_at) if is_over else "",
        "" if incident.excess_m3h is None else f"{incident.excess_m3h:.1f}",
        "" if incident.lost_m3 is None else f"{incident.lost_m3:.0f}",
        incident.confirmed_cause or "",
    )


def _show(settings: Settings, id_: str, plot: Path | None) -> int:
    if plot is not None:
        reexec_in_venv("plots")
    with _database(settings).opened() as database:
        incident = find_incident(database, id_)
        if incident is None:
            raise CommandError(f"no incident has the id {id_}; ./wvr alarms lists them")
        print("\n".join(_lines(settings, incident, read_timeline(database, incident.sensor, id_))))
        if plot is not None:
            # Only here: the other commands must not need matplotlib.
            from cli.alarm_plot import write_plot

            write_plot(database, incident, plot)
            print(f"plot: {plot}")
    return 0


def _lines(settings: Settings, incident: Incident, timeline: list[TimelineEntry]) -> Iterator[str]:
    names = [*HEADER, "note"]
    yield from (
        f"{name:<9} {value}"
        for name, value in zip(names, [*_row(settings, incident), incident.note], strict=True)
        if value
    )
    yield f"{'checks':<9} {incident.methods.replace(',', ', ')}"
    yield incident.text_en
    yield incident.text_ko
    yield ""
    for entry in timeline:
        who = f" by {entry.operator}" if entry.operator else ""
        flow = "" if entry.excess_m3h is None else f", {entry.excess_m3h:.1f} m3/h"
        lost = "" if entry.lost_m3 is None else f", {entry.lost_m3:.0f} m3 lost"
        cause = f", cause {entry.cause}" if entry.cause else ""
        note = f": {entry.note}" if entry.note else ""
        yield f"{_time(settings, entry.at)}  {entry.change}{who}{cause}{flow}{lost}{note}"


def _time(settings: Settings, at: int | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, settings.zone).strftime(TIME_FORMAT)
