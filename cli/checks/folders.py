"""Rights in the data folder, and space on its disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cli.checks.finding import Finding, note, ok, wrong
from cli.setup_site import FOLDERS
from shared.settings import Settings

LEAST_FREE = 200_000_000
"""Bytes below which a site is about to stand still."""


def check(settings: Settings) -> Iterator[Finding]:
    """Looks at the data folder."""
    if not settings.data.is_dir():
        yield wrong(f"there is no folder {settings.data}", "start WVR once: ./wvr up; or set WVR_DATA to where it is")
        return
    yield from _rights(settings.data)
    yield from _space(settings)


def _rights(data: Path) -> Iterator[Finding]:
    owner = data.stat().st_uid
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    known = [data / name for name in FOLDERS if (data / name).is_dir()]
    files = [data / name for name in ("wvr.db", "wvr.lock") if (data / name).exists()]
    closed = [path for path in (data, *known) if not os.access(path, os.W_OK | os.X_OK)]
    foreign = [path for path in (*known, *files, *data.glob("backup/*.db")) if path.stat().st_uid != owner]
    if missing:
        yield wrong(f"folders are missing in {data}: {', '.join(missing)}", "./wvr up makes them")
    if closed:
        yield wrong(f"this user may not write {_names(closed)}", "run ./wvr as the folder's owner, or with sudo")
    if foreign and owner:
        yield wrong(f"{_names(foreign)} belong to another user than {data}", f"sudo chown -R {owner} {data}")
    if not (missing or closed or (foreign and owner)):
        yield ok(f"{data}: folders and rights are right")


def _space(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data).free
    database = settings.database.stat().st_size if settings.database.exists() else 0
    said = f"{free / 1e9:.1f} GB free on the disk of {settings.data}"
    if free < LEAST_FREE:
        yield wrong(f"only {said}", "delete what is not needed there; WVR waits for space and goes on by itself")
    elif free < 2 * database:
        yield note(f"{said}, wvr.db has {database / 1e9:.1f} GB", "make room: a backup needs as much as wvr.db")
    else:
        yield ok(said)


def _names(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:5]) + (" …" if len(paths) > 5 else "")
