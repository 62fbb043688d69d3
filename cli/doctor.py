"""`./wvr doctor`: check a running or stopped site, and list what is wrong and what to do."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime

from cli.doctor_checks import (
    autostart,
    backlog,
    broker_persistence,
    data_folder,
    database,
    freshness,
    models,
    services,
    versions,
)
from cli.doctor_checks.finding import Finding, note, wrong
from shared.contract.service import Unavailable
from shared.runtime.broker_probe import BrokerRefused
from shared.settings import Settings, SettingsError, load_settings

STATE_LABELS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr doctor", description=__doc__)
    command.add_argument("-q", "--quiet", action="store_true", help="show only what is wrong")
    deep = "also restart the broker and check that it keeps its messages; services reconnect"
    command.add_argument("--deep", action="store_true", help=deep)
    return command


def main(arguments: list[str]) -> int:
    """Print one line for each finding. Return 1 if something is wrong."""
    options = parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)
    try:
        settings = load_settings()
    except SettingsError as error:
        print(
            f"{STATE_LABELS['wrong']} site.toml is invalid\n{error}\n      → correct it; ./wvr validate",
            file=sys.stderr,
        )
        return 1
    count = 0
    for finding in run_checks(settings, options.deep):
        count += finding.state == "wrong"
        if finding.state == "wrong" or not options.quiet:
            print(f"{STATE_LABELS[finding.state]} {finding.what}", flush=True)
            if finding.advice:
                print(f"      → {finding.advice}", flush=True)
    print("everything is in order" if not count else f"{count} {'thing is' if count == 1 else 'things are'} wrong")
    return 1 if count else 0


def run_checks(settings: Settings, deep: bool = False) -> Iterator[Finding]:
    """Yield the findings of all groups of checks. A group that fails does not end the others."""
    now = datetime.now(settings.zone)
    runs = services.is_running(settings)
    yield from _guarded("the data folder", data_folder.check(settings))
    if not os.access(settings.data, os.R_OK | os.X_OK):
        return
    yield from _guarded("versions", versions.check(settings))
    yield from _guarded("wvr.db", database.check(settings, now))
    yield from _guarded("stored readings", freshness.check(settings, now, runs))
    yield from _guarded("the spool", backlog.check_spool(settings, runs))
    yield from _guarded("models", models.check(settings))
    yield from _guarded("autostart", autostart.check(settings))
    if runs:
        yield from _guarded("the broker", services.check(settings, datetime.now(settings.zone)))
    else:
        yield note("WVR does not run here", "start it: ./wvr up")
    if deep:
        yield from _guarded("the broker's persistence", _deep(settings, runs))


def _deep(settings: Settings, runs: bool) -> Iterator[Finding]:
    if not runs:
        yield wrong("--deep needs a running site", "./wvr up, then ./wvr doctor --deep again")
        return
    online = services.online(settings)
    yield from broker_persistence.check(settings, broker_persistence.locate_broker(settings))
    yield from services.wait_for_return(settings, datetime.now(settings.zone), online)


def _guarded(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except (OSError, sqlite3.Error, Unavailable, BrokerRefused, SystemExit) as error:
        advice = "run ./wvr as the owner of the data folder, or with sudo; else see the lines about the disk and wvr.db"
        yield wrong(f"{subject} can't be checked: {error}", advice)
