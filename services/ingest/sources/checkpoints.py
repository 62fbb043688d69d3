"""Where the reading of each followed file has come to, kept through restarts."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

from services.ingest.sources.line_reader import MAX_LINE_BYTES
from shared.runtime.safe_files import read_limited, write_atomic

FINGERPRINT_BYTES = 1024
"""Bytes at the beginning that tell a file from its successor."""

MAX_CHECKPOINT_FILE_BYTES = 20_000_000
"""Bytes of the file with all places."""
UNREAD = (-1, -1)


@dataclass
class FileCheckpoint:
    """How far one file has been read."""

    name: str
    inode: int
    offset: int = 0
    """Bytes, unpacked, up to the end of the last line that was handed out."""
    lines: int = 0
    header: str = ""
    fingerprint_bytes: int = 0
    fingerprint: str = ""
    """SHA-256 of the first head_bytes, unpacked."""
    file_state: tuple[int, int] = UNREAD
    """Size and time of change of the file when it was last looked at."""
    read_state: tuple[int, int] = UNREAD
    """What `seen` was when nothing more was left to read."""
    renamed: bool = False
    in_oversized_line: bool = False
    """Whether what lies behind the offset belongs to a line that was too long."""

    @property
    def is_gzip(self) -> bool:
        return self.name.endswith(".gz")

    def matches(self, file: BinaryIO) -> bool:
        """Whether a file still begins with what was read of it and reaches that far; leaves it at the offset."""
        same = _checksum(file.read(self.fingerprint_bytes)) == self.fingerprint if self.fingerprint_bytes else True
        if self.offset:
            file.seek(self.offset - 1)
            same = same and bool(file.read(1))
        return same

    def update_fingerprint(self, file: BinaryIO) -> None:
        """Takes the beginning of the file for its mark, as far as it was read."""
        if self.fingerprint_bytes < min(FINGERPRINT_BYTES, self.offset):
            file.seek(0)
            self.fingerprint_bytes = min(FINGERPRINT_BYTES, self.offset)
            self.fingerprint = _checksum(file.read(self.fingerprint_bytes))
            file.seek(self.offset)


def load_checkpoints(path: Path) -> tuple[list[FileCheckpoint], dict[str, datetime]]:
    """Places, and the sensors' newest minutes within an hour that came twice. Raises ValueError for a damaged file."""
    if not path.exists():
        return [], {}
    try:
        content = json.loads(read_limited(path, MAX_CHECKPOINT_FILE_BYTES))
        dst_state = {sensor: datetime.fromisoformat(at) for sensor, at in content["turning"].items()}
        if any(at.tzinfo is None for at in dst_state.values()):
            raise ValueError("a time has no offset")
        return [_parse_checkpoint(one) for one in content["files"]], dst_state
    except (OSError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _parse_checkpoint(said: dict[str, Any]) -> FileCheckpoint:
    """A place as it was saved. Raises LookupError, TypeError or ValueError."""
    place = FileCheckpoint(**said)
    place.file_state = place.read_state = (place.read_state[0], place.read_state[1])
    numbers = (
        place.inode,
        place.offset,
        place.lines,
        place.fingerprint_bytes,
        *(number + 1 for number in place.read_state),
    )
    if (
        not all(type(number) is int and 0 <= number < 2**63 for number in numbers)
        or place.fingerprint_bytes > FINGERPRINT_BYTES
    ):
        raise ValueError(f"no place in a file: {numbers}")
    if not all(isinstance(text, str) for text in (place.name, place.header, place.fingerprint)):
        raise TypeError("a name is no text")
    if not place.name.isprintable() or len(place.header) > MAX_LINE_BYTES:
        raise ValueError("no name of a file, or no header")
    place.renamed, place.in_oversized_line = place.renamed is True, place.in_oversized_line is True
    return place


def save_checkpoints(path: Path, checkpoints: list[FileCheckpoint], dst_state: dict[str, datetime]) -> None:
    """Writes beside, flushes and renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = {sensor: at.isoformat() for sensor, at in dst_state.items()}
    write_atomic(path, json.dumps({"files": [asdict(place) for place in checkpoints], "turning": times}, indent=1))


def list_input_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Name and state of the files in a folder, without those that WVR writes itself."""
    for path in folder.iterdir() if folder.is_dir() else ():
        own = path.name == "alert.txt" or path.name.startswith(".") or fnmatch(path.name, "server*.txt")
        with suppress(OSError):
            if not own and stat.S_ISREG((state := path.stat()).st_mode):
                yield path.name, state


def _checksum(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
