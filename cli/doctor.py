"""`./wvr doctor`: looks at a running or stopped site, and says what is wrong and what to do."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from datetime import datetime

from cli.checks import database, folders, models, readings, running
from cli.checks.finding import Finding, note
from shared.settings import Settings, SettingsError, load_settings

SIGNS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def main(arguments: list[str]) -> int:
    """Prints a line a finding; exit code 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="wvr doctor", description=__doc__)
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is wrong")
    quiet = parser.parse_args(arguments).quiet
    logging.disable(logging.CRITICAL)
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"{SIGNS['wrong']} site.toml can't be used\n{error}\n      → correct it; ./wvr validate", file=sys.stderr)
        return 1
    wrong = 0
    for finding in findings(settings):
        wrong += finding.state == "wrong"
        if finding.state == "wrong" or not quiet:
            print(f"{SIGNS[finding.state]} {finding.what}", flush=True)
            if finding.advice:
                print(f"      → {finding.advice}", flush=True)
    print("all is well" if not wrong else f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong")
    return 1 if wrong else 0


def findings(settings: Settings) -> Iterator[Finding]:
    """All groups of checks in order."""
    now = datetime.now(settings.zone)
    runs = running.is_running(settings)
    yield from folders.check(settings)
    if not settings.data.is_dir():
        return
    yield from database.check(settings, now)
    yield from readings.check(settings, now, runs)
    yield from models.check(settings)
    if runs:
        yield from running.check(settings, datetime.now(settings.zone))
    else:
        yield note("WVR does not run here", "./wvr up")
