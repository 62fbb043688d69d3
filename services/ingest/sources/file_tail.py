"""Follows growing text files in data/sensor/, through rotation, truncation and restarts."""

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
)
from services.ingest.sources.timestamps import TimestampParser

Item = Measurement | BadLine
MAX_FILES = 10_000
"""Files of the folder that are looked at."""
LINES_PER_ITEM = 2
"""Lines, or parts of one beyond all measure, that a poll looks at for each item that it may give."""
MAX_UNPACKED_BYTES = 4_000_000_000
"""Bytes of a .gz: a year of 64 meters has 1.3 GB."""


class FileSource:
    """Reads whole lines only; a line that is still being written waits for its end.

    A file is known by its inode, so that the rest of a renamed one is still read, and by how it begins.
    """

    def __init__(self, folder: Path, pattern: str, zone: ZoneInfo, checkpoint_file: Path) -> None:
        self._folder, self._pattern, self._checkpoint_file = folder, pattern, checkpoint_file
        self._pending_notices: list[BadLine] = []
        try:
            places, turning = load_checkpoints(checkpoint_file)
        except ValueError as error:
            places, turning = [], {}
            self._pending_notices = [BadLine(checkpoint_file.name, 0, "", f"damaged, all files are read anew: {error}")]
        self._checkpoints = {place.inode: place for place in places}
        self._timestamps = TimestampParser(zone, turning)
        self._parsers: dict[int, Parser] = {}
        self._failing: set[int] = set()
        self._last_warning = ""
        self._changed = False
        self._new_items = self._read_new()

    def poll(self, now: datetime, max_items: int) -> Iterator[Item]:  # noqa: ARG002
        """What is new, at most `most` items: file by file, those renamed since first, then in order of their names."""
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
        """Remembers the place: all that was polled is safe. Raises OSError."""
        if self._changed:
            save_checkpoints(self._checkpoint_file, list(self._checkpoints.values()), self._timestamps.dst_state)
            self._changed = False

    def _read_new(self) -> Iterator[Item | None]:
        places = self._scan()
        while self._pending_notices:
            yield self._pending_notices.pop()
        for place in places:
            if place.file_state == place.read_state:
                continue
            try:
                yield from self._read_file(place)
                self._failing.discard(place.inode)
            except READ_ERRORS as error:
                yield from self._report_error(place, error)

    def _scan(self) -> list[FileCheckpoint]:
        """Places of all files there are; of a .gz only once it has stopped growing."""
        found = {}
        steady = set()
        for name, state in self._list_files():
            known = self._checkpoints.get(state.st_ino)
            if state.st_ino in found or not (self._matches_pattern(name) or (known and known.offset)):
                continue
            place = found[state.st_ino] = known or FileCheckpoint(name, state.st_ino)
            place.renamed = place.renamed or place.name != name
            place.name = name
            before, place.file_state = place.file_state, (state.st_size, state.st_mtime_ns)
            if not place.is_gzip or before == place.file_state:
                steady.add(state.st_ino)
        for inode in self._checkpoints.keys() - found.keys():
            self._on_file_gone(self._checkpoints[inode], found)
        self._checkpoints = found
        return sorted((found[inode] for inode in steady), key=lambda place: (not place.renamed, place.name))

    def _list_files(self) -> list[tuple[str, os.stat_result]]:
        """Names and states of the files that are looked at; says once what is left aside."""
        listed = list(islice(list_input_files(self._folder), MAX_FILES + 1))
        named = sorted((name, state) for name, state in listed[:MAX_FILES] if name.isprintable())
        strange = [name for name, _ in listed if not name.isprintable()]
        warning = f"there are more than {MAX_FILES} files; the rest is not read" if len(listed) > MAX_FILES else ""
        warning = warning or (f"a file whose name can't be printed is not read: {strange[0]!a}" if strange else "")
        if warning and warning != self._last_warning:
            self._pending_notices.append(BadLine(self._folder.name, 0, "", warning))
        self._last_warning = warning
        return named

    def _matches_pattern(self, name: str) -> bool:
        return fnmatch(name, self._pattern) or fnmatch(name.removesuffix(".gz"), self._pattern)

    def _on_file_gone(self, gone: FileCheckpoint, found: dict[int, FileCheckpoint]) -> None:
        """A copy put in the place of a file goes on where that one was; else what was not read of it is named."""
        self._changed = True
        self._parsers.pop(gone.inode, None)
        self._failing.discard(gone.inode)
        replacement = next((place for place in found.values() if place.name == gone.name and not place.offset), None)
        if replacement and self._same_beginning(replacement, gone):
            replacement.offset, replacement.lines, replacement.header, replacement.in_oversized_line = (
                gone.offset,
                gone.lines,
                gone.header,
                gone.in_oversized_line,
            )
            replacement.fingerprint_bytes, replacement.fingerprint = gone.fingerprint_bytes, gone.fingerprint
        elif gone.read_state == UNREAD or gone.read_state != gone.file_state:
            self._pending_notices.append(
                BadLine(gone.name, gone.lines, "", "gone; what came after this line was not read")
            )

    def _same_beginning(self, replacement: FileCheckpoint, gone: FileCheckpoint) -> bool:
        try:
            with open_lines(self._folder / replacement.name) as file:
                return gone.offset > 0 and gone.matches(file)
        except READ_ERRORS:
            return False

    def _read_file(self, place: FileCheckpoint) -> Iterator[Item | None]:
        path = self._folder / place.name
        with open_lines(path) as file:
            if path.stat().st_ino != place.inode:
                return
            if not place.matches(file):
                yield from self._restart_file(place)
                file.seek(0)
            if self._matches_pattern(place.name) or place.offset:
                yield from self._read_lines(place, file)
            else:
                place.read_state = place.file_state

    def _restart_file(self, place: FileCheckpoint) -> Iterator[Item]:
        if place.read_state == UNREAD:
            yield BadLine(place.name, place.lines, "", "overwritten; what came after this line was not read")
        place.offset, place.lines, place.header, place.fingerprint_bytes, place.fingerprint = 0, 0, "", 0, ""
        place.renamed, place.in_oversized_line, self._changed = False, False, True
        self._parsers.pop(place.inode, None)

    def _read_lines(self, place: FileCheckpoint, file: BinaryIO) -> Iterator[Item | None]:
        """What is on the lines that the file had when it was looked at: one that grows for ever holds up no other.

        A line beyond all measure is one bad line, said when its first part is there; None for the rest of it.
        """
        parser = self._parser(place)
        place.read_state = UNREAD
        most = MAX_UNPACKED_BYTES if place.is_gzip else place.file_state[0]
        while place.offset < most and (raw := file.readline(MAX_LINE_BYTES)):
            if not (raw.endswith(b"\n") or is_truncated(raw) or place.is_gzip):
                break
            place.offset, self._changed = file.tell(), True
            rest, place.in_oversized_line = place.in_oversized_line, is_truncated(raw)
            if rest:
                yield None
                continue
            place.lines += 1
            item = read_line(parser, place.name, place.lines, raw)
            place.header = parser.header
            place.update_fingerprint(file)
            yield item
        if place.is_gzip and place.offset >= most:
            raise OSError(f"it unpacks to more than {most:,} bytes")
        place.read_state, self._changed = place.file_state, True

    def _parser(self, place: FileCheckpoint) -> Parser:
        if place.inode not in self._parsers:
            parser = self._parsers[place.inode] = Parser(self._timestamps)
            if place.header:
                read_line(parser, place.name, 0, place.header.encode())
        return self._parsers[place.inode]

    def _report_error(self, place: FileCheckpoint, error: BaseException) -> Iterator[Item]:
        """Says once that a file can't be read; a .gz is tried again when it changes, any other at each poll."""
        if place.is_gzip:
            place.read_state, self._changed = place.file_state, True
        if place.inode not in self._failing:
            self._failing.add(place.inode)
            yield BadLine(place.name, place.lines + 1, "", f"can't be read any further: {error}")
