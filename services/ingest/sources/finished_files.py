"""What becomes of files that were read to their end: they stay, go to the archive, or are deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from services.ingest.sources.checkpoints import FileCheckpoint
from services.ingest.sources.folder import matching_table
from shared.runtime.log import log
from shared.settings.sections import FileTable

QUIET_BEFORE_REMOVAL = timedelta(minutes=10)
"""A file that was read to its end and has not changed for so long may be removed, if a newer one is there."""


class FinishedFiles:
    """Archives or deletes the files whose table says so."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self._folder, self._archive = folder, archive

    def remove(self, checkpoints: Iterable[FileCheckpoint], tables: Sequence[FileTable], now: datetime) -> None:
        """Remove what is finished; to be called when the positions are committed. Raises OSError."""
        by_table: dict[int, list[FileCheckpoint]] = {}
        for checkpoint in checkpoints:
            table = matching_table(checkpoint.name, tables)
            if table and table.after != "keep":
                by_table.setdefault(tables.index(table), []).append(checkpoint)
        for index, files in by_table.items():
            newest = max(checkpoint.file_state[1] for checkpoint in files)
            for checkpoint in files:
                if checkpoint.file_state[1] < newest and checkpoint.is_finished(now, QUIET_BEFORE_REMOVAL):
                    self._remove(checkpoint, tables[index].after)

    def _remove(self, checkpoint: FileCheckpoint, after: str) -> None:
        path = self._folder / checkpoint.name
        if path.stat().st_ino != checkpoint.inode or path.stat().st_size != checkpoint.file_state[0]:
            return
        if after == "delete":
            path.unlink()
        else:
            target = self._free_name(self._archive / checkpoint.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        checkpoint.is_removed = True
        log("ingest", "file_finished", logging.INFO, file=checkpoint.name, after=after)

    def _free_name(self, path: Path) -> Path:
        number, free = 1, path
        while free.exists():
            number, free = number + 1, path.with_name(f"{path.stem}.{number}{path.suffix}")
        return free
