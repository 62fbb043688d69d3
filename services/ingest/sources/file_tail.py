"""Follows growing text files in data/sensor/ through rotation, truncation and restarts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from services.ingest.sources.checkpoints import (
    UNREAD,
    FileCheckpoint,
    list_input_files,
    load_checkpoints,
    save_checkpoints,
)
from services.ingest.sources.line_reader import (
    MAX_LINE_BYTES,
    READ_ERRORS,
    BadLine,
    Measurement,
    Parser,
    is_truncated,
    open_lines,
    read_line,
    rest_unreadable,
)
from services.ingest.sources.timestamps import TimestampParser
from shared.contract.messages import LocalizedText
from shared.contract.texts import localized

Item = Measurement | BadLine
MAX_FILES = 10_000
"""Files of the folder that are scanned."""
LINES_PER_ITEM = 2
"""Lines, or parts of an oversized line, that a poll reads for each item that it may return."""
MAX_UNPACKED_BYTES = 4_000_000_000
"""Bytes of an uncompressed .gz; a year of 64 meters has 1.3 GB."""


class FileSource:
    """Reads complete lines only; an incomplete last line waits for its end.

    A file is identified by its inode, so that the rest of a renamed file is still read, and by its beginning.
    """

    def __init__(self, folder: Path, pattern: str, zone: ZoneInfo, checkpoint_file: Path) -> None:
        self._folder, self._pattern, self._checkpoint_file = folder, pattern, checkpoint_file
        self._pending_notices: list[BadLine] = []
        try:
            checkpoints, dst_state = load_checkpoints(checkpoint_file)
        except ValueError as error:
            checkpoints, dst_state = [], {}
            self._pending_notices = [
                BadLine(
                    checkpoint_file.name,
                    0,
                    "",
                    localized(
                        "체크포인트 파일이 손상되어 모든 파일을 다시 읽습니다: {error}",
                        "damaged checkpoint file; all files are read again: {error}",
                        error=error,
                    ),
                )
            ]
        self._checkpoints = {checkpoint.inode: checkpoint for checkpoint in checkpoints}
        self._timestamps = TimestampParser(zone, dst_state)
        self._parsers: dict[int, Parser] = {}
        self._failing: set[int] = set()
        self._last_warning: LocalizedText | None = None
        self._changed = False
        self._new_items = self._read_new()

    def poll(self, now: datetime, max_items: int) -> Iterator[Item]:  # noqa: ARG002
        """Yield at most `max_items` new items, file by file: renamed files first, then by name."""
        given = steps = 0
        while given < max_items and steps < LINES_PER_ITEM * max_items:
            steps += 1
            try:
                item = next(self._new_items)
            except StopIteration:
                self._new_items = self._read_new()
                return
            if item is not None:
                given += 1
                yield item

    def commit(self) -> None:
        """Save the checkpoints of what was polled. Raises OSError."""
        if self._changed:
            save_checkpoints(self._checkpoint_file, list(self._checkpoints.values()), self._timestamps.dst_state)
            self._changed = False

    def _read_new(self) -> Iterator[Item | None]:
        checkpoints = self._scan()
        while self._pending_notices:
            yield self._pending_notices.pop()
        for checkpoint in checkpoints:
            if checkpoint.file_state == checkpoint.read_state:
                continue
            try:
                yield from self._read_file(checkpoint)
                self._failing.discard(checkpoint.inode)
            except READ_ERRORS as error:
                yield from self._report_error(checkpoint, error)

    def _scan(self) -> list[FileCheckpoint]:
        """Return the checkpoints of all files; a .gz only after it has stopped growing."""
        checkpoints = {}
        readable = set()
        for name, state in self._list_files():
            stored = self._checkpoints.get(state.st_ino)
            if state.st_ino in checkpoints or not (self._matches_pattern(name) or (stored and stored.offset)):
                continue
            checkpoint = checkpoints[state.st_ino] = stored or FileCheckpoint(name, state.st_ino)
            checkpoint.renamed = checkpoint.renamed or checkpoint.name != name
            checkpoint.name = name
            previous_state, checkpoint.file_state = checkpoint.file_state, (state.st_size, state.st_mtime_ns)
            if not checkpoint.is_gzip or previous_state == checkpoint.file_state:
                readable.add(state.st_ino)
        for inode in self._checkpoints.keys() - checkpoints.keys():
            self._on_file_gone(self._checkpoints[inode], checkpoints)
        self._checkpoints = checkpoints
        return sorted(
            (checkpoints[inode] for inode in readable), key=lambda checkpoint: (not checkpoint.renamed, checkpoint.name)
        )

    def _list_files(self) -> list[tuple[str, os.stat_result]]:
        """Return names and states of the files to follow; add a notice once about skipped files."""
        listed = list(islice(list_input_files(self._folder), MAX_FILES + 1))
        named = sorted((name, state) for name, state in listed[:MAX_FILES] if name.isprintable())
        unprintable = [name for name, _ in listed if not name.isprintable()]
        warning = None
        if len(listed) > MAX_FILES:
            warning = localized(
                "파일이 {limit}개보다 많아 나머지는 읽지 않습니다",
                "there are more than {limit} files; the others are not read",
                limit=MAX_FILES,
            )
        elif unprintable:
            warning = localized(
                "이름에 출력할 수 없는 문자가 있어 건너뜁니다: {name!a}",
                "file skipped, its name is not printable: {name!a}",
                name=unprintable[0],
            )
        if warning and warning != self._last_warning:
            self._pending_notices.append(BadLine(self._folder.name, 0, "", warning))
        self._last_warning = warning
        return named

    def _matches_pattern(self, name: str) -> bool:
        return fnmatch(name, self._pattern) or fnmatch(name.removesuffix(".gz"), self._pattern)

    def _on_file_gone(self, gone: FileCheckpoint, checkpoints: dict[int, FileCheckpoint]) -> None:
        """Move the position to a copy that replaced the file; otherwise report the unread rest."""
        self._changed = True
        self._parsers.pop(gone.inode, None)
        self._failing.discard(gone.inode)
        same_name = (checkpoint for checkpoint in checkpoints.values() if checkpoint.name == gone.name)
        replacement = next((checkpoint for checkpoint in same_name if not checkpoint.offset), None)
        if replacement and self._same_beginning(replacement, gone):
            replacement.offset, replacement.lines, replacement.header = gone.offset, gone.lines, gone.header
            replacement.in_oversized_line = gone.in_oversized_line
            replacement.fingerprint_bytes, replacement.fingerprint = gone.fingerprint_bytes, gone.fingerprint
        elif gone.read_state == UNREAD or gone.read_state != gone.file_state:
            self._pending_notices.append(
                BadLine(
                    gone.name,
                    gone.lines,
                    "",
                    localized(
                        "파일이 사라져 이 줄 다음은 읽지 못했습니다", "file is gone; lines after this one were not read"
                    ),
                )
            )

    def _same_beginning(self, replacement: FileCheckpoint, gone: FileCheckpoint) -> bool:
        try:
            with open_lines(self._folder / replacement.name) as file:
                return gone.offset > 0 and gone.matches(file)
        except READ_ERRORS:
            return False

    def _read_file(self, checkpoint: FileCheckpoint) -> Iterator[Item | None]:
        path = self._folder / checkpoint.name
        with open_lines(path) as file:
            if path.stat().st_ino != checkpoint.inode:
                return
            if not checkpoint.matches(file):
                yield from self._restart_file(checkpoint)
                file.seek(0)
            if self._matches_pattern(checkpoint.name) or checkpoint.offset:
                yield from self._read_lines(checkpoint, file)
            else:
                checkpoint.read_state = checkpoint.file_state

    def _restart_file(self, checkpoint: FileCheckpoint) -> Iterator[Item]:
        if checkpoint.read_state == UNREAD:
            reason = localized(
                "파일을 덮어써서 이 줄 다음은 읽지 못했습니다",
                "file was overwritten; lines after this one were not read",
            )
            yield BadLine(checkpoint.name, checkpoint.lines, "", reason)
        checkpoint.offset, checkpoint.lines, checkpoint.header = 0, 0, ""
        checkpoint.fingerprint_bytes, checkpoint.fingerprint = 0, ""
        checkpoint.renamed, checkpoint.in_oversized_line, self._changed = False, False, True
        self._parsers.pop(checkpoint.inode, None)

    def _read_lines(self, checkpoint: FileCheckpoint, file: BinaryIO) -> Iterator[Item | None]:
        """Yield the lines up to the size that the file had at the scan.

        So one growing file does not hold up others.  An oversized line is one bad line, yielded at its first
        part; its other parts yield None.
        """
        parser = self._parser(checkpoint)
        checkpoint.read_state = UNREAD
        size_limit = MAX_UNPACKED_BYTES if checkpoint.is_gzip else checkpoint.file_state[0]
        while checkpoint.offset < size_limit and (raw := file.readline(MAX_LINE_BYTES)):
            if not (raw.endswith(b"\n") or is_truncated(raw) or checkpoint.is_gzip):
                break
            checkpoint.offset, self._changed = file.tell(), True
            is_continuation, checkpoint.in_oversized_line = checkpoint.in_oversized_line, is_truncated(raw)
            if is_continuation:
                yield None
                continue
            checkpoint.lines += 1
            item = read_line(parser, checkpoint.name, checkpoint.lines, raw)
            checkpoint.header = parser.header
            checkpoint.update_fingerprint(file)
            yield item
        if checkpoint.is_gzip and checkpoint.offset >= size_limit:
            raise OSError(f"uncompressed size exceeds {size_limit:,} bytes")
        checkpoint.read_state, self._changed = checkpoint.file_state, True

    def _parser(self, checkpoint: FileCheckpoint) -> Parser:
        if checkpoint.inode not in self._parsers:
            parser = self._parsers[checkpoint.inode] = Parser(self._timestamps)
            if checkpoint.header:
                read_line(parser, checkpoint.name, 0, checkpoint.header.encode())
        return self._parsers[checkpoint.inode]

    def _report_error(self, checkpoint: FileCheckpoint, error: BaseException) -> Iterator[Item]:
        """Report once that a file cannot be read. A .gz is read again when it changes, any other file at each poll."""
        if checkpoint.is_gzip:
            checkpoint.read_state, self._changed = checkpoint.file_state, True
        if checkpoint.inode not in self._failing:
            self._failing.add(checkpoint.inode)
            yield BadLine(checkpoint.name, checkpoint.lines + 1, "", rest_unreadable(error))
