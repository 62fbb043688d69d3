"""`./wvr backup`: copy wvr.db into data/backup/ and check the copy, through db_writer or under the writer lock."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime

from cli.broker_client import send_command
from shared.settings import Settings, SettingsError, load_settings
from shared.store import backups, writer_lock


def parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="./wvr backup", description=__doc__)


def main(arguments: list[str]) -> int:
    parser().parse_args(arguments)
    try:
        settings = load_settings()
        handle = writer_lock.acquire(settings.database)
    except writer_lock.WriterLockHeld:
        return send_command(settings, "backup", "backup")
    except (SettingsError, OSError) as error:
        print(f"wvr backup: {error}", file=sys.stderr)
        return 1
    try:
        return _back_up(settings)
    finally:
        os.close(handle)


def _back_up(settings: Settings) -> int:
    if not settings.database.exists():
        print(f"wvr backup: {settings.database} does not exist yet; it is created at the first start", file=sys.stderr)
        return 1
    try:
        backup = backups.create_backup(
            settings.database, settings.backups, datetime.now(settings.zone), lambda *_: None
        )
    except backups.BackupError as error:
        print(f"wvr backup: {error}", file=sys.stderr)
        return 1
    print(f"{backup} is complete and valid")
    return 0
