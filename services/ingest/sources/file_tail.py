"""Follows text files in data/sensor/ through growth, rotation, rewriting and restarts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from services.ingest.sources.checkpoints import (
    FINGERPRINT_BYTES,
    UNREAD,
    FileCheckpoint,
    load_checkpoints,
    save_checkpoints,
)
from services.ingest.sources.finished_files import FinishedFiles
from services.ingest.sources.folder import FolderScan, matching_table
from services.ingest.sources.line_reader import (
    MAX_LINE_BYTES,
    READ_ERRORS,
    BadLine,
    Measurement,
    open_lines,
    read_line,
    rest_unreadable,
)
from services.ingest.sources.raw_lines import Encoding, RawLines
from services.ingest.sources.time_order import in_time_order
from services.ingest.sources.timestamps import TimestampParser
from services.ingest.tables.encoding import find_line_encoding
from services.ingest.tables.headers import TableError
from services.ingest.tables.line_form import LineForm, Site, find_form
from services.ingest.tables.rows import SensorNames
from shared.contract.messages import LocalizedText
from shared.contract.texts import localized
from shared.runtime.log import log
from shared.settings import FileTable

Item = Measurement | BadLine
HEAD_BYTES = 65_536
"""Bytes at the beginning of a file that show its form."""
LINES_PER_ITEM = 2
"""Lines, or parts of an oversized line, that a poll reads for each item that it may return."""
MAX_UNPACKED_BYTES = 4_000_000_000
"""Bytes of an uncompressed .gz; a year of 64 meters has 1.3 GB."""
MAX_NAMED = 1000
"""Files, and texts of a file, that are remembered as logged."""
QUIET = timedelta(minutes=2)
"""After so many minutes without a change, at least a full one, a last line without an end is read."""


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
        self._forms: dict[int, tuple[Encoding, LineForm]] = {}
        self._formless: dict[int, tuple[tuple[int, int], bool]] = {}
        """Inode to the state in which a file had no form, and whether it was quiet."""
        self._notices: dict[int, LocalizedText] = {}
        """Inode to the newest notice about a file that can't be read, or whose form is in doubt."""
        self._named_missing: dict[str, set[str]] = {}
        """Name of a file to the texts in place of a value that were logged."""
        self._changed = False
        self._now: datetime | None = None
        self._new_items = self._read_new()

    def poll(self, now: datetime, max_items: int) -> Iterator[Item]:
        """Yield about `max_items` new items, file by file: renamed files first, then by name.

        Those of one poll are in order of time, file by file.
        """
        self._now = now
        polled: list[Item] = []
        steps = 0
        while len(polled) < max_items and steps < LINES_PER_ITEM * max_items:
            steps += 1
            try:
                polled += next(self._new_items)
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
            is_quiet = self._is_quiet(checkpoint)
            has_open_line = checkpoint.has_open_line and is_quiet
            if checkpoint.file_state == checkpoint.read_state and not has_open_line:
                continue
            if self._formless.get(checkpoint.inode) == (checkpoint.file_state, is_quiet):
                continue
            try:
                yield from self._read_file(checkpoint)
            except READ_ERRORS as error:
                if checkpoint.is_gzip:
                    checkpoint.read_state, self._changed = checkpoint.file_state, True
                yield self._notice(checkpoint, rest_unreadable(error))

    def _scan(self) -> list[FileCheckpoint]:
        """Return the checkpoints of all files; a .gz only after it has stopped growing."""
        files, warnings = self._scanner.list()
        self._pending_notices += [BadLine(name, 0, "", text) for name, text in warnings]
        checkpoints: dict[int, FileCheckpoint] = {}
        readable = set()
        for name, state in files:
            stored = self._checkpoints.get(state.st_ino)
            is_followed = self._table(name) or (stored and stored.offset)
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

    def _table(self, name: str) -> FileTable | None:
        return matching_table(name, self._tables)

    def _is_quiet(self, checkpoint: FileCheckpoint) -> bool:
        return self._now is not None and checkpoint.is_quiet(self._now, QUIET)

    def _on_file_gone(self, gone: FileCheckpoint, checkpoints: dict[int, FileCheckpoint]) -> None:
        """Move the position to a copy that replaced the file; otherwise report the unread rest."""
        self._changed = True
        self._forms.pop(gone.inode, None)
        self._notices.pop(gone.inode, None)
        same_name = (checkpoint for checkpoint in checkpoints.values() if checkpoint.name == gone.name)
        replacement = next((checkpoint for checkpoint in same_name if not checkpoint.offset), None)
        if replacement and self._same_beginning(replacement, gone):
            replacement.continue_from(gone)
        elif not gone.is_removed and (gone.read_state == UNREAD or gone.read_state != gone.file_state):
            reason = localized(
                "파일이 사라져 이 줄 다음은 읽지 못했습니다", "file is gone; lines after this one were not read"
            )
            self._pending_notices.append(BadLine(gone.name, gone.lines, "", reason))

    def _same_beginning(self, replacement: FileCheckpoint, gone: FileCheckpoint) -> bool:
        try:
            with open_lines(self._folder / replacement.name) as file:
                return gone.offset > 0 and gone.matches(file)
        except READ_ERRORS:
            return False

    def _read_file(self, checkpoint: FileCheckpoint) -> Iterator[Sequence[Item]]:
        path = self._folder / checkpoint.name
        with open_lines(path) as file:
            if path.stat().st_ino != checkpoint.inode:
                return
            if not checkpoint.matches(file):
                yield self._restart_file(checkpoint)
            table = self._table(checkpoint.name) or FileTable()
            if not self._table(checkpoint.name) and not checkpoint.offset:
                checkpoint.read_state = checkpoint.file_state
                return
            try:
                form = self._form(checkpoint, file, table)
            except TableError as error:
                self._formless[checkpoint.inode] = checkpoint.file_state, self._is_quiet(checkpoint)
                yield self._notice(checkpoint, _in_doubt(error))
                return
            if form is None:
                self._formless[checkpoint.inode] = checkpoint.file_state, self._is_quiet(checkpoint)
                checkpoint.read_state = checkpoint.file_state
                return
            yield from self._read_lines(checkpoint, file, *form)
            self._notices.pop(checkpoint.inode, None)

    def _restart_file(self, checkpoint: FileCheckpoint) -> Sequence[Item]:
        was_unread = checkpoint.read_state == UNREAD
        lines = checkpoint.lines
        checkpoint.restart()
        self._changed = True
        self._forms.pop(checkpoint.inode, None)
        reason = localized(
            "파일을 덮어써서 이 줄 다음은 읽지 못했습니다",
            "file was overwritten; lines after this one were not read",
        )
        return (BadLine(checkpoint.name, lines, "", reason),) if was_unread else ()

    def _form(self, checkpoint: FileCheckpoint, file: BinaryIO, table: FileTable) -> tuple[Encoding, LineForm] | None:
        """Return the form of a file, from its beginning; None while it holds no data. Raises TableError, OSError."""
        if checkpoint.inode not in self._forms:
            head = _read_head(file, HEAD_BYTES if checkpoint.is_gzip else min(HEAD_BYTES, checkpoint.file_state[0]))
            encoding = find_line_encoding(head)
            if self._is_quiet(checkpoint) or checkpoint.is_gzip or checkpoint.open_bytes:
                head += encoding.end
            lines = encoding.split(head)
            is_oversized = not lines and len(head) >= HEAD_BYTES
            form = (
                LineForm.documented(self._site, table)
                if is_oversized
                else find_form(lines, self._site, table, checkpoint.name)
            )
            if form is None:
                return None
            if checkpoint.header:
                read_line(form.read, checkpoint.name, 0, checkpoint.header.encode())
            self._forms[checkpoint.inode] = encoding, form
            titles, ignored = form.layout.titles, form.layout.ignored
            not_read = ", ".join(titles[index] for index in ignored)
            columns = ", ".join(title for index, title in enumerate(titles) if index not in ignored)
            log(
                "ingest",
                "file_opened",
                file=checkpoint.name,
                encoding=encoding.name,
                columns=columns,
                not_read=not_read,
            )
        return self._forms[checkpoint.inode]

    def _read_lines(
        self, checkpoint: FileCheckpoint, file: BinaryIO, encoding: Encoding, form: LineForm
    ) -> Iterator[Sequence[Item]]:
        """Yield the items of each line up to the size that the file had at the scan.

        So one growing file does not hold up others. An oversized line is one bad line, yielded at its first part.
        """
        head = _read_head(file, FINGERPRINT_BYTES)
        file.seek(checkpoint.offset)
        checkpoint.read_state = UNREAD
        size_limit = MAX_UNPACKED_BYTES if checkpoint.is_gzip else checkpoint.file_state[0]
        takes_open_line = checkpoint.is_gzip or self._is_quiet(checkpoint)
        if checkpoint.open_bytes and checkpoint.offset < size_limit:
            yield self._close_line(checkpoint, file, encoding)
        for raw in RawLines(file, checkpoint.offset, encoding.end):
            is_oversized = len(raw) >= MAX_LINE_BYTES and not raw.endswith(encoding.end)
            is_open = not is_oversized and not raw.endswith(encoding.end)
            if checkpoint.offset >= size_limit or (is_open and not takes_open_line):
                break
            checkpoint.offset, self._changed = checkpoint.offset + len(raw), True
            checkpoint.open_bytes = len(raw) if is_open and not checkpoint.is_gzip else 0
            is_continuation, checkpoint.in_oversized_line = checkpoint.in_oversized_line, is_oversized
            if is_continuation:
                yield ()
                continue
            checkpoint.lines += 1
            checkpoint.update_fingerprint(head)
            if checkpoint.lines >= form.first:
                items = read_line(form.read, checkpoint.name, checkpoint.lines, raw, encoding.name)
                checkpoint.header = form.header
                yield items
        self._name_missing(checkpoint, form)
        if checkpoint.is_gzip and checkpoint.offset >= size_limit:
            raise OSError(f"uncompressed size exceeds {size_limit:,} bytes")
        checkpoint.read_state, self._changed = checkpoint.file_state, True

    def _name_missing(self, checkpoint: FileCheckpoint, form: LineForm) -> None:
        """Log once what stands in place of a value."""
        for text in form.values.missing.keys() - self._named_missing.get(checkpoint.name, set()):
            named = self._named_missing.setdefault(checkpoint.name, set())
            if len(named) < MAX_NAMED and len(self._named_missing) < MAX_NAMED:
                named.add(text)
                log("ingest", "values_missing", logging.WARNING, file=checkpoint.name, value=text[:40])

    def _close_line(self, checkpoint: FileCheckpoint, file: BinaryIO, encoding: Encoding) -> Sequence[Item]:
        """Skip the end of a line that was read without it; if the line itself has grown, go back to its beginning."""
        end = file.read(len(encoding.end))
        if end == encoding.end or (end == b"\r" and encoding.end == b"\n"):
            checkpoint.offset, checkpoint.open_bytes, self._changed = checkpoint.offset + len(end), 0, True
            return ()
        checkpoint.offset, checkpoint.open_bytes = checkpoint.offset - checkpoint.open_bytes, 0
        checkpoint.lines, self._changed = checkpoint.lines - 1, True
        file.seek(checkpoint.offset)
        reason = localized(
            "이 줄은 끝나기 전에 1분 동안 변하지 않아 읽었는데 그 뒤에 길어져 다시 읽습니다. 먼저 읽은 값이 남습니다",
            "this line was read after a quiet minute without its end, and has grown since: it is read again, "
            "and values that were read first are kept",
        )
        return (BadLine(checkpoint.name, checkpoint.lines + 1, "", reason),)

    def _notice(self, checkpoint: FileCheckpoint, reason: LocalizedText) -> Sequence[Item]:
        """Return a notice about a file, once; a file that can't be read is tried again at each poll."""
        if self._notices.get(checkpoint.inode) == reason:
            return ()
        self._notices[checkpoint.inode] = reason
        return (BadLine(checkpoint.name, checkpoint.lines + 1, "", reason),)


def _read_head(file: BinaryIO, size: int) -> bytes:
    """Return the first bytes of a file; of a damaged .gz, those that can be read."""
    file.seek(0)
    head = b""
    try:
        while len(head) < size and (block := file.read(min(size - len(head), 1024))):
            head += block
    except READ_ERRORS:
        if not head:
            raise
    return head


def _in_doubt(error: TableError) -> LocalizedText:
    return localized(
        "파일의 형식이 확실하지 않아 읽지 않습니다: {error}",
        "the form of the file is in doubt, it is not read: {error}",
        error=error,
    )
