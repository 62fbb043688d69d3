"""`./wvr restore FILE`: puts a backup in the place of wvr.db, which is kept beside; without FILE lists the backups."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from cli import compose
from cli.bootstrap import reexec_in_venv
from cli.local_site import supervisor_pid
from shared.settings import Settings, SettingsError, load_settings
from shared.store import backups, lock, repair

WRITER = ("db_writer",)
READERS = ("forecaster", "detector", "reporter")
"""They remember what was read of the database that goes; they start when db_writer has the other one."""

ServiceAction = Callable[[Sequence[str]], None]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="wvr restore", description=__doc__)
    parser.add_argument("file", nargs="?", help="a file, or the name of one in data/backup/")
    wanted = parser.parse_args(arguments).file
    try:
        settings = load_settings()
        if wanted is None:
            return _list(settings)
        source = find_backup(settings, wanted)
        with services_stopped(settings):
            print(restore_from(settings, source), flush=True)
    except (SettingsError, OSError, backups.BackupError, lock.SecondWriter) as error:
        print(f"wvr restore: {error}", file=sys.stderr)
        return 1
    return 0


def find_backup(settings: Settings, wanted: str) -> Path:
    """The backup that is meant, checked. Raises FileNotFoundError, BackupError."""
    inside = settings.backups / wanted
    source = inside if inside.is_file() else Path(wanted)
    if not source.is_file():
        raise FileNotFoundError(f"there is no backup {wanted}; ./wvr restore lists them")
    if flaw := backups.flaws(source):
        raise backups.BackupError(f"{source} can't be used: {flaw}")
    return source


@contextmanager
def services_stopped(settings: Settings) -> Iterator[None]:
    """Stops, where the site runs, all that remember its database, and starts them again, whatever happens.

    Ingest goes on: what comes meanwhile is in its spool, and db_writer will ask for all that the other one lacks.
    """
    doing = _service_actions(settings)
    if doing is None:
        yield
        return
    stop, start = doing
    print(f"the site runs: {', '.join((*READERS, *WRITER))} stop for the exchange; ingest goes on", flush=True)
    stop((*READERS, *WRITER))
    try:
        yield
    finally:
        print("starting them again", flush=True)
        start(WRITER)
        start(READERS)
    print("they run; what the backup lacks comes again from ingest's spool and the reporter's blocks")


def restore_from(settings: Settings, source: Path) -> str:
    """Restores under the writer's lock; returns what was done. Raises SecondWriter, OSError."""
    handle = lock.take(settings.database)
    try:
        had = settings.database.exists()
        aside = repair.replace(settings.database, source, "before-restore", datetime.now(settings.zone))
    finally:
        os.close(handle)
    kept = f"; what was there before is {aside}" if had else ""
    return f"{settings.database} is now {source.name}{kept}"


def _service_actions(settings: Settings) -> tuple[ServiceAction, ServiceAction] | None:
    """How services of the running site are stopped and started; None when no site writes this database."""
    data = settings.data
    with suppress(lock.SecondWriter):
        os.close(lock.take(settings.database))
        return None
    if supervisor_pid(data):
        reexec_in_venv("local")
        from cli import local

        return lambda names: local.stop(data, names), lambda names: local.start(data, names)
    if compose.engine().is_available and compose.is_running():
        return compose.stop, compose.start
    return None


def _list(settings: Settings) -> int:
    found = backups.listed(settings.backups)
    for at, path in found.items():
        print(f"{path.name}   {at:%Y-%m-%d %H:%M}   {path.stat().st_size / 1e6:.1f} MB")
    if not found:
        print(f"no backups in {settings.backups} yet")
    return 0
