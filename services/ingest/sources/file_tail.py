"""Follows text files in data/sensor/ through growth, rotation, rewriting and restarts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from services.ingest.sources.checkpoints import UNREAD, FileCheckpoint, load_checkpoints, save_checkpoints
from services.ingest.sources.file_reader import FileReader
from services.ingest.sources.finished_files import FinishedFiles
from services.ingest.sources.folder import FolderScan, matching_table
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.sources.time_order import in_time_order
from services.ingest.sources.timestamps import TimestampParser
from services.ingest.tables.line_form import Site
from services.ingest.tables.rows import SensorNames
from shared.contract.texts import localized
from shared.settings.sections import FileTable

Item = Measurement | BadLine
LINES_PER_ITEM = 2
"""Lines, or parts of an oversized line, that a poll reads for each item that it may return."""


class FileSource:
    """Reads the new lines of files; a last line without an end is read when the file has been quiet.

    A file is identified by its inode, so that the rest of a renamed file is still read, and by its beginning. A file
    that is rewritten is read from its beginning: ingest knows the readings that it had.
    """

    def __init__(
        self,
        folder: Path,
        tables: Sequence[FileTable],
        zone: ZoneInfo,
        checkpoint_file: Path,
        sensors: SensorNames,
    ) -> None:
        """Read nothing yet; `tables` have the patterns of the files."""
        self._folder, self._tables, self._checkpoint_file = folder, tables, checkpoint_file
        self._scanner, self._finished_files = FolderScan(folder), FinishedFiles(folder, folder.parent / "archive")
        self._pending_notices: list[BadLine] = []
        try:
            checkpoints, dst_state = load_checkpoints(checkpoint_file)
        except ValueError as error:
            checkpoints, dst_state = [], {}
            damaged = localized(
                "체크포인트 파일이 손상되어 모든 파일을 다시 읽습니다: {error}",
                "damaged checkpoint file; all files are read again: {error}",
                error=error,
            )
            self._pending_notices = [BadLine(checkpoint_file.name, 0, "", damaged)]
        self._checkpoints = {checkpoint.inode: checkpoint for checkpoint in checkpoints}
        self._site = Site(TimestampParser(zone, dst_state), sensors)
        self._reader = FileReader(folder, self._site)
        self._changed = False
        self._now: datetime | None = None
        self._new_items = self._read_new()

    def poll(self, now: datetime, max_items: int) -> Iterator[Item]:
        """Yield about `max_items` new items, file by file: renamed files first, then by name.

        Those of one poll are in order of time.
        """
        self._now = now
        polled: list[Item] = []
        steps = 0
        while len(polled) < max_items and steps < LINES_PER_ITEM * max_items:
            steps += 1
            try:
                polled += next(self._new_items)
                self._changed = True
            except StopIteration:
                self._new_items = self._read_new()
                break
        return in_time_order(polled)

    def commit(self) -> None:
        """Save the checkpoints of what was polled, then remove finished files. Raises OSError."""
        if self._changed:
            save_checkpoints(self._checkpoint_file, list(self._checkpoints.values()), self._site.timestamps.dst_state)
            self._changed = False
        if self._now:
            self._finished_files.remove(self._checkpoints.values(), self._tables, self._now)

    def _read_new(self) -> Iterator[Sequence[Item]]:
        checkpoints = self._scan()
        while self._pending_notices:
            yield (self._pending_notices.pop(),)
        for checkpoint in checkpoints:
            if self._reader.has_news(checkpoint, self._now):
                yield from self._reader.read(checkpoint, matching_table(checkpoint.name, self._tables), self._now)

    def _scan(self) -> list[FileCheckpoint]:
        """Return the checkpoints of all files; a .gz only after it has stopped growing."""
        files, warnings = self._scanner.list()
        self._pending_notices += [BadLine(name, 0, "", text) for name, text in warnings]
        checkpoints: dict[int, FileCheckpoint] = {}
        readable = set()
        for name, state in files:
            stored = self._checkpoints.get(state.st_ino)
            is_followed = matching_table(name, self._tables) or (stored and stored.offset)
            if state.st_ino in checkpoints or not is_followed:
                continue
            checkpoint = checkpoints[state.st_ino] = stored or FileCheckpoint(name, state.st_ino)
            checkpoint.renamed = checkpoint.renamed or checkpoint.name != name
            checkpoint.name = name
            has_changed = checkpoint.observe((state.st_size, state.st_mtime_ns), self._now)
            if not checkpoint.is_gzip or not has_changed:
                readable.add(state.st_ino)
        for inode in self._checkpoints.keys() - checkpoints.keys():
            self._on_file_gone(self._checkpoints[inode], checkpoints)
        self._checkpoints = checkpoints
        return sorted(
            (checkpoints[inode] for inode in readable), key=lambda checkpoint: (not checkpoint.renamed, checkpoint.name)
        )

    def _on_file_gone(self, gone: FileCheckpoint, checkpoints: dict[int, FileCheckpoint]) -> None:
        """Move the position to a copy that replaced the file; otherwise report the unread rest."""
        self._changed = True
        same_name = [checkpoint for checkpoint in checkpoints.values() if checkpoint.name == gone.name]
        self._reader.forget(gone, bool(same_name))
        replacement = next((checkpoint for checkpoint in same_name if not checkpoint.offset), None)
        if replacement and self._reader.is_copy(replacement.name, gone):
            replacement.continue_from(gone)
        elif not gone.is_removed and (gone.read_state == UNREAD or gone.read_state != gone.file_state):
            reason = localized(
                "파일이 사라져 이 줄 다음은 읽지 못했습니다", "file is gone; lines after this one were not read"
            )
            self._pending_notices.append(BadLine(gone.name, gone.lines, "", reason))
