"""Versions of WVR and of what it stands on, and whether wvr.db is of this one."""

from __future__ import annotations

import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterator

from cli import compose
from cli.checks.finding import Finding, note, ok, wrong
from cli.packages import ROOT, which
from shared.settings import Settings
from shared.store import schema
from shared.version import VERSION

LEAST_MOSQUITTO = (2, 0)


def check(settings: Settings) -> Iterator[Finding]:
    """Looks at what is installed here, and at the tables."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    commit = _first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    yield ok(f"WVR {VERSION}{f' ({commit})' if commit else ''} on {system}, {platform.machine()}")
    yield ok(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    engine, mosquitto = compose.engine(), which("mosquitto")
    if engine.answers or not which("docker"):
        yield ok(engine.says)
    else:
        yield note(engine.says, "if WVR runs in Docker here: be in the group docker, or use sudo; else nothing")
    if mosquitto:
        yield of_mosquitto(_first_line(str(mosquitto), "-h"))
    elif not engine.answers:
        yield note("neither Mosquitto nor a Docker engine is here", "./wvr up --local installs Mosquitto")
    if unknown := schema.newer(settings.database):
        advice = "git checkout that newer version, or ./wvr restore a backup from before the update"
        yield wrong(f"wvr.db was written by a newer WVR (it has {unknown})", advice)


def of_mosquitto(said: str) -> Finding:
    """A version as Mosquitto says it."""
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < LEAST_MOSQUITTO:
        return wrong(f"{said} is too old", "Debian 12 has 2.0.11: sudo apt-get install mosquitto")
    return ok(said)


def _first_line(*command: str) -> str:
    try:
        said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (said.splitlines() or [""])[0]
