"""Lines of a file as bytes, whatever ends them, from a position on."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from services.ingest.sources.line_reader import MAX_LINE_BYTES

BLOCK_BYTES = 65_536


class Encoding(NamedTuple):
    """How the text of a file is written."""

    name: str = "utf-8"
    end: bytes = b"\n"
    """End of a line, encoded."""

    def split(self, head: bytes) -> list[str]:
        """Return the complete lines of the beginning of a file, without their ends; other bytes are escaped."""
        text = codecs.getincrementaldecoder(self.name)("backslashreplace").decode(head)
        *lines, _ = text.split(self.end.decode(self.name))
        return lines


class RawLines:
    """Lines with their ends, at most MAX_LINE_BYTES each; the last one may lack its end."""

    def __init__(self, file: BinaryIO, offset: int, end: bytes) -> None:
        """`file` is at `offset`."""
        self._file, self._offset, self._end = file, offset, end
        self._buffer = b""

    def __iter__(self) -> Iterator[bytes]:
        if self._end == b"\n":
            while raw := self._file.readline(MAX_LINE_BYTES):
                yield raw
            return
        while True:
            length = self._line_length()
            if not length:
                if block := self._file.read(BLOCK_BYTES):
                    self._buffer += block
                    continue
                if not self._buffer:
                    return
                length = len(self._buffer)
            raw, self._buffer = self._buffer[:length], self._buffer[length:]
            self._offset += length
            yield raw

    def _line_length(self) -> int:
        """Return the length of the next line in the buffer; 0 if it is not complete."""
        width, start = len(self._end), 0
        while (at := self._buffer.find(self._end, start)) >= 0:
            if (self._offset + at) % width == 0:
                return min(at + width, MAX_LINE_BYTES)
            start = at + 1
        return MAX_LINE_BYTES if len(self._buffer) >= MAX_LINE_BYTES else 0
