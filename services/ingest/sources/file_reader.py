"""Reads the new lines of one file, whose form is found from its beginning."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from services.ingest.sources.checkpoints import FINGERPRINT_BYTES, UNREAD, FileCheckpoint
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
from services.ingest.tables.encoding import find_line_encoding
from services.ingest.tables.headers import TableError
from services.ingest.tables.line_form import LineForm, Site, find_form
from shared.contract.messages import LocalizedText
from shared.contract.texts import localized
from shared.runtime.log import log
from shared.settings.sections import FileTable

Items = Sequence[Measurement | BadLine]
"""What one line holds."""
HEAD_BYTES = 65_536
"""Bytes at the beginning of a file that show its form."""
MAX_UNPACKED_BYTES = 4_000_000_000
"""Bytes of an uncompressed .gz; a year of 64 meters has 1.3 GB."""
MAX_NAMED = 10_000
"""Log events about files that are remembered."""
QUIET = timedelta(minutes=2)
"""After so many minutes without a change, at least a full one, a last line without an end is read."""


class FileReader:
    """Reads files from their checkpoints on."""

    def __init__(self, folder: Path, site: Site) -> None:
        self._folder, self._site = folder, site
        self._forms: dict[int, tuple[Encoding, LineForm]] = {}
        """Inode to the form of a file that is being read."""
        self._formless: dict[int, tuple[tuple[int, int], bool]] = {}
        """Inode to the state in which a file had no form, and whether it was quiet."""
        self._notices: dict[str, LocalizedText] = {}
        """Name to the newest notice about a file that can't be read, or whose form is in doubt."""
        self._logged: set[tuple[str, str]] = set()
        """Name of a file, and what was logged about it."""

    def has_news(self, checkpoint: FileCheckpoint, now: datetime | None) -> bool:
        """Whether a file has something to read; the form of one that rests is forgotten."""
        is_quiet = self._is_quiet(checkpoint, now)
        if checkpoint.file_state == checkpoint.read_state and not (checkpoint.has_open_line and is_quiet):
            if is_quiet:
                self._forms.pop(checkpoint.inode, None)
            return False
        return self._formless.get(checkpoint.inode) != (checkpoint.file_state, is_quiet)

    def forget(self, gone: FileCheckpoint, is_replaced: bool) -> None:
        """Forget a file; the notice about one that is replaced stays, as the new one may have the same problem."""
        self._forms.pop(gone.inode, None)
        self._formless.pop(gone.inode, None)
        if not is_replaced:
            self._notices.pop(gone.name, None)

    def is_copy(self, name: str, gone: FileCheckpoint) -> bool:
        """Whether the file of that name begins as one that is gone."""
        try:
            with open_lines(self._folder / name) as file:
                return gone.offset > 0 and gone.matches(file)
        except READ_ERRORS:
            return False

    def read(self, checkpoint: FileCheckpoint, table: FileTable | None, now: datetime | None) -> Iterator[Items]:
        """Yield the items of each new line. A file without a table is read only if its rest is known."""
        is_quiet = self._is_quiet(checkpoint, now)
        try:
            with open_lines(self._folder / checkpoint.name) as file:
                if (self._folder / checkpoint.name).stat().st_ino != checkpoint.inode:
                    return
                if not checkpoint.matches(file):
                    yield self._restart(checkpoint)
                if table is None and not checkpoint.offset:
                    checkpoint.read_state = checkpoint.file_state
                    return
                form = self._form(checkpoint, file, table or FileTable(), is_quiet)
                if form is None:
                    self._formless[checkpoint.inode] = checkpoint.file_state, is_quiet
                    checkpoint.read_state = checkpoint.file_state
                    return
                yield from self._read_lines(checkpoint, file, *form, is_quiet)
                self._notices.pop(checkpoint.name, None)
        except TableError as error:
            self._formless[checkpoint.inode] = checkpoint.file_state, is_quiet
            yield self._notice(checkpoint, _in_doubt(error))
        except READ_ERRORS as error:
            if checkpoint.is_gzip:
                checkpoint.read_state = checkpoint.file_state
            yield self._notice(checkpoint, rest_unreadable(error))

    def _is_quiet(self, checkpoint: FileCheckpoint, now: datetime | None) -> bool:
        return now is not None and checkpoint.is_quiet(now, QUIET)

    def _restart(self, checkpoint: FileCheckpoint) -> Items:
        was_unread, lines = checkpoint.read_state == UNREAD, checkpoint.lines
        checkpoint.restart()
        self._forms.pop(checkpoint.inode, None)
        reason = localized(
            "파일을 덮어써서 이 줄 다음은 읽지 못했습니다",
            "file was overwritten; lines after this one were not read",
        )
        return (BadLine(checkpoint.name, lines, "", reason),) if was_unread else ()

    def _form(
        self, checkpoint: FileCheckpoint, file: BinaryIO, table: FileTable, is_quiet: bool
    ) -> tuple[Encoding, LineForm] | None:
        """Return the form of a file, from its beginning; None while it holds no data. Raises TableError, OSError."""
        if checkpoint.inode in self._forms:
            return self._forms[checkpoint.inode]
        head = _read_head(file, HEAD_BYTES if checkpoint.is_gzip else min(HEAD_BYTES, checkpoint.file_state[0]))
        encoding = find_line_encoding(head)
        if is_quiet or checkpoint.is_gzip or checkpoint.open_bytes:
            head += encoding.end
        lines = encoding.split(head)
        is_oversized = not lines and len(head) >= HEAD_BYTES
        documented = LineForm.documented(self._site, table)
        form = documented if is_oversized else find_form(lines, self._site, table, checkpoint.name)
        if form is None:
            return None
        if checkpoint.header:
            read_line(form.read, checkpoint.name, 0, checkpoint.header.encode())
        self._forms[checkpoint.inode] = encoding, form
        titles, ignored = form.layout.titles, form.layout.ignored
        columns = ", ".join(title for index, title in enumerate(titles) if index not in ignored)
        not_read = ", ".join(titles[index] for index in ignored)
        if self._is_first(checkpoint, "opened"):
            name = checkpoint.name
            log("ingest", "file_opened", file=name, encoding=encoding.name, columns=columns, not_read=not_read)
        return encoding, form

    def _read_lines(
        self, checkpoint: FileCheckpoint, file: BinaryIO, encoding: Encoding, form: LineForm, is_quiet: bool
    ) -> Iterator[Items]:
        """Yield the items of each line up to the size that the file had at the scan.

        So one growing file does not hold up others. An oversized line is one bad line, yielded at its first part.
        """
        head = _read_head(file, FINGERPRINT_BYTES)
        file.seek(checkpoint.offset)
        checkpoint.read_state = UNREAD
        size_limit = MAX_UNPACKED_BYTES if checkpoint.is_gzip else checkpoint.file_state[0]
        takes_open_line = checkpoint.is_gzip or is_quiet
        if checkpoint.open_bytes and checkpoint.offset < size_limit:
            yield self._close_line(checkpoint, file, encoding)
        for raw in RawLines(file, checkpoint.offset, encoding.end):
            has_end = raw.endswith(encoding.end)
            is_oversized = len(raw) >= MAX_LINE_BYTES and not has_end
            is_open = not is_oversized and not has_end
            if checkpoint.offset >= size_limit or (is_open and not takes_open_line):
                break
            checkpoint.offset += len(raw)
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
        checkpoint.read_state = checkpoint.file_state

    def _close_line(self, checkpoint: FileCheckpoint, file: BinaryIO, encoding: Encoding) -> Items:
        """Skip the end of a line that was read without it; if the line itself has grown, go back to its beginning."""
        end = file.read(len(encoding.end))
        if end == encoding.end or (end == b"\r" and encoding.end == b"\n"):
            checkpoint.offset, checkpoint.open_bytes = checkpoint.offset + len(end), 0
            return ()
        checkpoint.offset, checkpoint.open_bytes = checkpoint.offset - checkpoint.open_bytes, 0
        checkpoint.lines -= 1
        file.seek(checkpoint.offset)
        reason = localized(
            "이 줄은 끝나기 전에 1분 동안 변하지 않아 읽었는데 그 뒤에 길어져 다시 읽습니다. 먼저 읽은 값이 남습니다",
            "this line was read after a quiet minute without its end, and has grown since: it is read again, "
            "and values that were read first are kept",
        )
        return (BadLine(checkpoint.name, checkpoint.lines + 1, "", reason),)

    def _name_missing(self, checkpoint: FileCheckpoint, form: LineForm) -> None:
        """Log once what stands in place of a value."""
        for text in form.values.missing:
            if self._is_first(checkpoint, f"missing {text}"):
                log("ingest", "values_missing", logging.WARNING, file=checkpoint.name, value=text[:40])

    def _is_first(self, checkpoint: FileCheckpoint, event: str) -> bool:
        """Whether an event of a file was not logged before."""
        if (checkpoint.name, event) in self._logged or len(self._logged) >= MAX_NAMED:
            return False
        self._logged.add((checkpoint.name, event))
        return True

    def _notice(self, checkpoint: FileCheckpoint, reason: LocalizedText) -> Items:
        """Return a notice about a file, once; a file that can't be read is tried again at each poll."""
        if self._notices.get(checkpoint.name) == reason:
            return ()
        self._notices[checkpoint.name] = reason
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
