"""Integrity and locks of wvr.db, and the age of the newest backup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from cli.doctor_checks.finding import Finding, format_duration, note, ok, wrong
from shared.contract.service import Unavailable
from shared.settings import Settings
from shared.store import backups, repair, writer_lock

LOCK_SAMPLES, LOCK_SAMPLE_SECONDS = 8, 0.25
"""A program that holds the write lock in every sample blocks db_writer."""
MAX_BACKUP_AGE = timedelta(hours=50)
"""Two nights and two hours."""


def check(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Check wvr.db and its backups."""
    if not settings.database.exists():
        yield note(f"{settings.database} does not exist yet", "db_writer creates it at its first start")
        return
    yield from _integrity(settings)
    yield from _locks(settings)
    yield from _backups(settings, now)
    for path in sorted(settings.data.glob("wvr.db.corrupt-*[0-9]")):
        yield note(
            f"{path.name} is a damaged database that was set aside",
            "delete it if nobody needs it; see docs/reference/tables.md",
        )


def _integrity(settings: Settings) -> Iterator[Finding]:
    try:
        problem = repair.find_corruption(settings.database, settings.backups)
    except Unavailable as reason:
        advice = "run ./wvr as the owner of the data folder, or with sudo; else check the locks and the disk"
        yield wrong(f"wvr.db can't be checked: {reason}", advice)
        return
    if problem:
        yield wrong(f"wvr.db is damaged: {problem}", "./wvr down, then ./wvr up: the newest valid backup replaces it")
    else:
        yield ok(f"wvr.db passed the integrity check ({settings.database.stat().st_size / 1e6:.0f} MB)")


def _locks(settings: Settings) -> Iterator[Finding]:
    holder = writer_lock.holder(settings.database)
    yield ok(f"wvr.db is written by {holder}" if holder else "no process writes wvr.db")
    holders = {writer_lock.foreign_writer(settings.database)}
    for _ in range(LOCK_SAMPLES):
        if "" in holders or len(holders) > 1:
            return
        time.sleep(LOCK_SAMPLE_SECONDS)
        holders.add(writer_lock.foreign_writer(settings.database))
    if "" not in holders and len(holders) == 1:
        yield wrong(
            f"{holders.pop()} holds the write lock of wvr.db",
            "commit or undo the changes in that program, or close it; no reading is lost meanwhile",
        )


def _backups(settings: Settings, now: datetime) -> Iterator[Finding]:
    paths_by_time = backups.list_backups(settings.backups)
    if not paths_by_time:
        yield note("there is no backup yet", "wait for 02:30, or run ./wvr backup now")
        return
    at, path = list(paths_by_time.items())[-1]
    age = now.replace(tzinfo=None) - at
    if problem := backups.integrity_error(path):
        yield wrong(f"the newest backup {path.name} is not valid: {problem}", "check the disk; then ./wvr backup")
    elif age > MAX_BACKUP_AGE:
        yield wrong(
            f"the newest backup is {format_duration(age.total_seconds())} old", "./wvr backup; ./wvr logs db_writer"
        )
    else:
        age_text = format_duration(max(0, age.total_seconds()))
        yield ok(f"the newest of {len(paths_by_time)} backups, {path.name}, is valid and {age_text} old")
