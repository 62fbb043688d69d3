"""Versions of WVR and of what it stands on, and whether wvr.db is of this one."""

from __future__ import annotations

import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cli import compose
from cli.bootstrap import ROOT, which
from cli.doctor_checks.finding import Finding, note, ok, wrong
from shared.settings import Settings
from shared.store import schema
from shared.version import VERSION

MIN_MOSQUITTO = (2, 0)


def check(settings: Settings) -> Iterator[Finding]:
    """Looks at what is installed here, and at the tables."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    commit = _first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    yield ok(f"WVR {VERSION}{f' ({commit})' if commit else ''} on {system}, {platform.machine()}")
    yield ok(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    engine, mosquitto = compose.engine(), which("mosquitto")
    if engine.is_available or not which("docker"):
        yield ok(engine.detail)
    else:
        yield note(engine.detail, "if WVR runs in Docker here: be in the group docker, or use sudo; else nothing")
    if mosquitto:
        yield check_mosquitto(_first_line(str(mosquitto), "-h"))
    elif not engine.is_available:
        yield note("neither Mosquitto nor a Docker engine is here", "./wvr up --local installs Mosquitto")
    if newer := _newer_schema(settings.database):
        yield wrong(newer.partition(": ")[0], f"{newer.partition(': ')[2]}: docs/operations.md, Rollback")


def check_mosquitto(said: str) -> Finding:
    """A version as Mosquitto says it."""
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < MIN_MOSQUITTO:
        return wrong(f"{said} is too old", "Debian 12 has 2.0.11: sudo apt-get install mosquitto")
    return ok(said)


def _newer_schema(database: Path) -> str:
    """What a newer WVR has made of the tables; a file that can't be read is the next check's."""
    try:
        with closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True)) as source:
            return schema.later([name for (name,) in source.execute(schema.APPLIED)])
    except sqlite3.Error:
        return ""


def _first_line(*command: str) -> str:
    try:
        said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (said.splitlines() or [""])[0]
