"""Finds the encoding of a text file."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from charset_normalizer import from_bytes

from services.ingest.sources.raw_lines import Encoding
from services.ingest.tables.headers import TableError

BLOCK_BYTES = 1 << 20
SAMPLE_BYTES = 64_000
"""Bytes of lines with other characters than ASCII that decide an encoding."""
CANDIDATES = ["cp949", "cp1252"]
"""Encodings of files that are neither UTF-8 nor UTF-16: Korean and western Windows."""
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_FIRST_OF_KS_X_1001 = 0xA1
"""Least byte of a character of the Korean standard."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def find_encoding(file: BinaryIO) -> str:
    """Return the encoding of a whole file, read from its position. Raises TableError, OSError."""
    head = file.read(4096)
    for mark, encoding in _MARKS:
        if head.startswith(mark) and (encoding == "utf-8-sig" or 0 in head):
            return encoding
    if nulls := head.count(0):
        even = head[::2].count(0)
        if nulls >= len(head) // 4 and min(even, nulls - even) <= nulls // 10:
            return "utf-16-be" if even > nulls - even else "utf-16-le"
    decoder = codecs.getincrementaldecoder("utf-8")()
    sample = b""
    is_utf8 = True
    for block in _blocks(head, file):
        if is_utf8:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                is_utf8 = False
        if len(sample) < SAMPLE_BYTES and not block.isascii():
            sample += b"".join(line for line in block.splitlines(keepends=True) if not line.isascii())
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    if is_utf8:
        return "utf-8"
    if _is_korean(sample):
        return "cp949"
    best = from_bytes(sample[:SAMPLE_BYTES], cp_isolation=CANDIDATES, enable_fallback=False).best()
    if best is None:
        raise TableError("the encoding of the file is not known; save it as UTF-8")
    return best.encoding


def find_line_encoding(head: bytes) -> Encoding:
    """Return the encoding and line end of a file by its beginning. Raises TableError.

    A few lines that are not UTF-8 do not make another encoding of a file that is.
    """
    complete = head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1] or head
    name = find_encoding(io.BytesIO(complete))
    if not name.startswith("utf-16") and any(not line.isascii() and _is_utf8(line) for line in complete.splitlines()):
        name = "utf-8"
    if name == "utf-16":
        name = "utf-16-be" if head.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    name = name.removesuffix("-sig")
    text = head.decode(name, "replace")
    return Encoding(name, ("\r" if "\r" in text and "\n" not in text else "\n").encode(name))


def _is_korean(sample: bytes) -> bool:
    """Whether all other characters than ASCII are pairs of KS X 1001; in western text single bytes stand alone.

    A few Korean words are too little for charset-normalizer.
    """
    runs = _NOT_ASCII.findall(sample)
    if not all(len(run) % 2 == 0 and min(run) >= _FIRST_OF_KS_X_1001 for run in runs):
        return False
    try:
        b"".join(runs).decode("cp949")
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _blocks(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    yield head
    while block := file.read(BLOCK_BYTES):
        yield block
