"""Reports every ten minutes how large the database is, and how long the disk lasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contract.messages import Message, StorageState, Tick

REPORT_MINUTES = 10
BYTES_PER_MB = 1e6


@dataclass(frozen=True)
class StorageUse:
    """What the database and its backups take of the disk."""

    database_bytes: int
    backup_bytes: int
    disk_free_bytes: int
    oldest_at: datetime | None
    """Oldest stored minute; None without any."""
    last_backup_at: datetime | None


class StorageProbe(Protocol):
    """Measures the use of the disk."""

    def measure(self) -> StorageUse | None:
        """Return the present use; None while the database cannot be read."""
        ...


class NullStorageProbe:
    """Null object for a replay, which can be repeated."""

    def measure(self) -> StorageUse | None:
        return None


class StorageMonitor:
    """Reports at the first tick, then every ten minutes."""

    def __init__(self, site: str, probe: StorageProbe, retention_days: int) -> None:
        self._site, self._probe, self._retention_days = site, probe, retention_days
        self._due_at: datetime | None = None
        self._has_reported = False

    def on_tick(self, tick: Tick) -> None:
        """Note that a report is due."""
        if not self._has_reported or tick.at.minute % REPORT_MINUTES == 0:
            self._has_reported, self._due_at = True, tick.at

    def poll(self) -> Iterator[Message]:
        """Yield the report that is due."""
        at, self._due_at = self._due_at, None
        if at and (use := self._probe.measure()):
            yield StorageState(
                site=self._site,
                at=at,
                database_mb=round(use.database_bytes / BYTES_PER_MB, 1),
                disk_free_mb=round(use.disk_free_bytes / BYTES_PER_MB, 1),
                days_left=days_left(use, at, self._retention_days),
                oldest_at=use.oldest_at,
                last_backup_at=use.last_backup_at,
            )


def days_left(use: StorageUse, now: datetime, retention_days: int) -> float | None:
    """Return the days until the disk is full at the growth so far; None if old minutes are deleted before that."""
    if use.oldest_at is None:
        return None
    stored_days = max((now - use.oldest_at).total_seconds() / 86_400, 1.0)
    days = use.disk_free_bytes * stored_days / max(use.database_bytes + use.backup_bytes, 1)
    return None if days >= retention_days - stored_days else round(days, 1)
