"""Is wvr.db sound, who holds its locks, and how old the newest backup is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from cli.doctor_checks.finding import Finding, format_duration, note, ok, wrong
from shared.runtime.service import Unavailable
from shared.settings import Settings
from shared.store import backups, lock, repair

LOCK_SAMPLES, LOCK_SAMPLE_SECONDS = 8, 0.25
"""A program that holds the write lock at every one of so many looks is in the way; db_writer never does."""
MAX_BACKUP_AGE = timedelta(hours=50)
"""Two nights and a bit."""


def check(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Looks at wvr.db and its backups."""
    if not settings.database.exists():
        yield note(f"there is no {settings.database} yet", "db_writer makes it at its first start")
        return
    yield from _integrity(settings)
    yield from _locks(settings)
    yield from _backups(settings, now)
    for path in sorted(settings.data.glob("wvr.db.corrupt-*[0-9]")):
        yield note(f"{path.name} was damaged and set aside", "delete it when nobody needs it; see docs/operations.md")


def _integrity(settings: Settings) -> Iterator[Finding]:
    try:
        flaw = repair.damage(settings.database, settings.backups)
    except Unavailable as hindrance:
        advice = "run ./wvr as the data folder's owner, or with sudo; else look at the locks and the disk"
        yield wrong(f"wvr.db can't be checked: {hindrance}", advice)
        return
    if flaw:
        yield wrong(f"wvr.db is damaged: {flaw}", "./wvr down, then ./wvr up: the newest sound backup takes its place")
    else:
        yield ok(f"wvr.db is sound ({settings.database.stat().st_size / 1e6:.0f} MB)")


def _locks(settings: Settings) -> Iterator[Finding]:
    keeper = lock.keeper(settings.database)
    yield ok(f"wvr.db is written by {keeper}" if keeper else "nobody writes wvr.db")
    holders = {lock.foreign_writer(settings.database)}
    for _ in range(LOCK_SAMPLES):
        if "" in holders or len(holders) > 1:
            return
        time.sleep(LOCK_SAMPLE_SECONDS)
        holders.add(lock.foreign_writer(settings.database))
    if "" not in holders and len(holders) == 1:
        yield wrong(
            f"{holders.pop()} holds the write lock of wvr.db",
            "write or undo the changes in that program, or close it; nothing is lost meanwhile",
        )


def _backups(settings: Settings, now: datetime) -> Iterator[Finding]:
    found = backups.listed(settings.backups)
    if not found:
        yield note("there is no backup yet", "one is made each night at 02:30; now: ./wvr backup")
        return
    at, path = list(found.items())[-1]
    age = now.replace(tzinfo=None) - at
    if flaw := backups.flaws(path):
        yield wrong(f"the newest backup {path.name} is not sound: {flaw}", "check the disk; then ./wvr backup")
    elif age > MAX_BACKUP_AGE:
        yield wrong(
            f"the newest backup is {format_duration(age.total_seconds())} old", "./wvr backup; ./wvr logs db_writer"
        )
    else:
        said = f"the newest of {len(found)} backups, {path.name}, is sound and {format_duration(max(0, age.total_seconds()))} old"
        yield ok(said)
