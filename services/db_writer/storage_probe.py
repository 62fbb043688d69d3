"""Measures the size of wvr.db and its backups, and what is free on the disk."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from services.db_writer.storage_monitor import StorageUse
from shared.contract.service import Unavailable
from shared.store.backups import list_backups
from shared.store.history import History


class DiskStorageProbe:
    """Measures the files of one site."""

    def __init__(self, database: Path, backups: Path, zone: ZoneInfo, history: History) -> None:
        self._database, self._backups, self._zone, self._history = database, backups, zone, history

    def measure(self) -> StorageUse | None:
        """Return the present use; None while a file or the database cannot be read."""
        try:
            backups = list_backups(self._backups)
            oldest = [
                stored[0] for sensor in self._history.sensors() if (stored := self._history.reading_range(sensor))
            ]
            return StorageUse(
                database_bytes=sum(
                    path.stat().st_size for path in self._database.parent.glob(f"{self._database.name}*")
                ),
                backup_bytes=sum(path.stat().st_size for path in backups.values()),
                disk_free_bytes=shutil.disk_usage(self._database.parent).free,
                oldest_at=datetime.fromtimestamp(min(oldest), self._zone) if oldest else None,
                last_backup_at=max(backups).replace(tzinfo=self._zone) if backups else None,
            )
        except (OSError, Unavailable):
            return None
