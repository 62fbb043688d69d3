"""Versions of WVR and its dependencies, and compatibility of wvr.db."""

from __future__ import annotations

import platform
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cli import compose
from cli.bootstrap import ROOT, CommandError, which
from cli.doctor_checks.finding import Finding, note, ok, wrong
from cli.mosquitto import require_supported
from shared.settings import Settings
from shared.store import schema
from shared.version import VERSION


def check(settings: Settings) -> Iterator[Finding]:
    """Check the installed versions and the schema of wvr.db."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    commit = _first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    yield ok(f"WVR {VERSION}{f' ({commit})' if commit else ''} on {system}, {platform.machine()}")
    yield ok(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    engine, mosquitto = compose.engine(), which("mosquitto")
    if engine.is_available or not which("docker"):
        yield ok(engine.detail)
    else:
        yield note(engine.detail, "only if WVR runs in Docker here: join the group docker, or use sudo")
    if mosquitto:
        yield check_mosquitto(_first_line(str(mosquitto), "-h"))
    elif not engine.is_available:
        yield note("neither Mosquitto nor a Docker engine is installed", "./wvr up --local installs Mosquitto")
    if newer := _newer_schema(settings.database):
        yield wrong(newer.partition(": ")[0], f"{newer.partition(': ')[2]}: docs/how-to/update-and-roll-back.md")


def check_mosquitto(text: str) -> Finding:
    """Check a version text of Mosquitto."""
    try:
        require_supported(text)
    except CommandError as error:
        what, _, advice = str(error).partition(": ")
        return wrong(what, advice)
    return ok(text)


def _newer_schema(database: Path) -> str:
    """Return why the schema is newer than this WVR, or an empty text. Another check reports an unreadable file."""
    try:
        with closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True)) as source:
            newer = schema.newer_schema_problem([name for (name,) in source.execute(schema.APPLIED_SQL)])
            return newer.text.en if newer else ""
    except sqlite3.Error:
        return ""


def _first_line(*command: str) -> str:
    try:
        output = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (output.splitlines() or [""])[0]
