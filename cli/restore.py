"""`./wvr restore FILE`: puts a backup in the place of wvr.db, which is kept beside; without FILE lists the backups."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

from shared.settings import Settings, SettingsError, load_settings
from shared.store import backups, lock, repair, schema


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="wvr restore", description=__doc__)
    parser.add_argument("file", nargs="?", help="a file, or the name of one in data/backup/")
    wanted = parser.parse_args(arguments).file
    try:
        settings = load_settings()
        if wanted is None:
            return _list(settings)
        print(restored(settings, wanted))
    except lock.SecondWriter:
        print("wvr restore: the site is running: ./wvr down first, then restore, then ./wvr up", file=sys.stderr)
        return 1
    except (SettingsError, OSError, backups.BackupError) as error:
        print(f"wvr restore: {error}", file=sys.stderr)
        return 1
    return 0


def restored(settings: Settings, wanted: str) -> str:
    """Restores under the writer's lock; returns what was done. Raises SecondWriter, BackupError, OSError."""
    inside = settings.backups / wanted
    source = inside if inside.is_file() else Path(wanted)
    if not source.is_file():
        raise FileNotFoundError(f"there is no backup {wanted}; ./wvr restore lists them")
    if flaw := backups.flaws(source):
        raise backups.BackupError(f"{source} can't be used: {flaw}")
    if unknown := schema.newer(source):
        raise backups.BackupError(f"{source} was made by a newer WVR than this one (it has {unknown})")
    handle = lock.take(settings.database)
    try:
        had = settings.database.exists()
        aside = repair.replace(settings.database, source, "before-restore", datetime.now(settings.zone))
    finally:
        os.close(handle)
    kept = f"; what was there before is {aside}" if had else ""
    return f"{settings.database} is now {source.name}{kept}"


def _list(settings: Settings) -> int:
    found = backups.listed(settings.backups)
    for at, path in found.items():
        print(f"{path.name}   {at:%Y-%m-%d %H:%M}   {path.stat().st_size / 1e6:.1f} MB")
    if not found:
        print(f"no backups in {settings.backups} yet")
    return 0
