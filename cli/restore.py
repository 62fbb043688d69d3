"""`./wvr restore FILE`: replace wvr.db by a backup and keep the old file; without FILE, list the backups."""

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
from shared.store import backups, repair, writer_lock

WRITER = ("db_writer",)
READERS = ("forecaster", "detector", "reporter")
"""These services keep state of the old database; they restart after db_writer has opened the new one."""

ServiceAction = Callable[[Sequence[str]], None]


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr restore", description=__doc__)
    command.add_argument("file", nargs="?", help="path of a backup, or its name in data/backup/")
    return command


def main(arguments: list[str]) -> int:
    name = parser().parse_args(arguments).file
    try:
        settings = load_settings()
        if name is None:
            return _list(settings)
        source = find_backup(settings, name)
        with services_stopped(settings):
            print(restore_from(settings, source), flush=True)
    except (SettingsError, OSError, backups.BackupError, writer_lock.WriterLockHeld) as error:
        print(f"wvr restore: {error}", file=sys.stderr)
        return 1
    return 0


def find_backup(settings: Settings, name: str) -> Path:
    """Return the path of a backup after an integrity check. Raises FileNotFoundError, BackupError."""
    inside = settings.backups / name
    source = inside if inside.is_file() else Path(name)
    if not source.is_file():
        raise FileNotFoundError(f"there is no backup {name}; ./wvr restore lists all backups")
    if problem := backups.integrity_error(source):
        raise backups.BackupError(f"{source} is not a valid backup: {problem}")
    return source


@contextmanager
def services_stopped(settings: Settings) -> Iterator[None]:
    """Stop the services that use the database, if the site runs, and start them again in any case.

    Ingest continues: its spool keeps new readings, and db_writer requests all that the backup lacks.
    """
    actions = _service_actions(settings)
    if actions is None:
        yield
        return
    stop, start = actions
    print(f"stopping {', '.join((*READERS, *WRITER))} during the exchange; ingest continues", flush=True)
    stop((*READERS, *WRITER))
    try:
        yield
    finally:
        print("starting them again", flush=True)
        start(WRITER)
        start(READERS)
    print("all services run; readings that the backup lacks are restored from ingest's spool and the reporter's outbox")


def restore_from(settings: Settings, source: Path) -> str:
    """Restore under the writer lock. Return a summary. Raises WriterLockHeld, OSError."""
    handle = writer_lock.acquire(settings.database)
    try:
        existed = settings.database.exists()
        aside = repair.swap_database(settings.database, source, "before-restore", datetime.now(settings.zone))
    finally:
        os.close(handle)
    suffix = f"; the previous database is {aside}" if existed else ""
    return f"{settings.database} is now {source.name}{suffix}"


def _service_actions(settings: Settings) -> tuple[ServiceAction, ServiceAction] | None:
    """Return how to stop and start services of the running site, or None if no site writes this database."""
    data = settings.data
    with suppress(writer_lock.WriterLockHeld):
        os.close(writer_lock.acquire(settings.database))
        return None
    if supervisor_pid(data):
        reexec_in_venv("local")
        from cli import local

        return lambda names: local.stop(data, names), lambda names: local.start(data, names)
    if compose.engine().is_available and compose.is_running():
        return compose.stop, compose.start
    return None


def _list(settings: Settings) -> int:
    paths_by_time = backups.list_backups(settings.backups)
    for at, path in paths_by_time.items():
        print(f"{path.name}   {at:%Y-%m-%d %H:%M}   {path.stat().st_size / 1e6:.1f} MB")
    if not paths_by_time:
        print(f"no backups in {settings.backups} yet")
    return 0
