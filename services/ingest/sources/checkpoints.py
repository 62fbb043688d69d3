"""Checkpoints: the position in each followed file, kept across restarts."""

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
"""Bytes at the beginning of a file that distinguish it from its replacement."""

MAX_CHECKPOINT_FILE_BYTES = 20_000_000
"""Bytes of the checkpoint file."""
UNREAD = (-1, -1)
KEYS = {
    "fingerprint_bytes": "head_bytes",
    "fingerprint": "head",
    "file_state": "seen",
    "read_state": "ended",
    "in_oversized_line": "cut",
}
"""Attribute to key in the checkpoint file, where they differ."""
ATTRIBUTES = {key: name for name, key in KEYS.items()}


@dataclass
class FileCheckpoint:
    """Position in one file."""

    name: str
    inode: int
    offset: int = 0
    """Bytes, uncompressed, up to the end of the last delivered line."""
    lines: int = 0
    header: str = ""
    fingerprint_bytes: int = 0
    fingerprint: str = ""
    """SHA-256 of the first `fingerprint_bytes`, uncompressed."""
    file_state: tuple[int, int] = UNREAD
    """Size and modification time (ns) at the last scan."""
    read_state: tuple[int, int] = UNREAD
    """`file_state` when the file was read to its end."""
    renamed: bool = False
    in_oversized_line: bool = False
    """Whether the bytes after `offset` belong to a line that is too long."""

    @property
    def is_gzip(self) -> bool:
        return self.name.endswith(".gz")

    def matches(self, file: BinaryIO) -> bool:
        """Whether a file has the same beginning and is at least as long; leaves it at the offset."""
        same = _checksum(file.read(self.fingerprint_bytes)) == self.fingerprint if self.fingerprint_bytes else True
        if self.offset:
            file.seek(self.offset - 1)
            same = same and bool(file.read(1))
        return same

    def update_fingerprint(self, file: BinaryIO) -> None:
        """Extend the fingerprint as far as the file was read, up to FINGERPRINT_BYTES."""
        if self.fingerprint_bytes < min(FINGERPRINT_BYTES, self.offset):
            file.seek(0)
            self.fingerprint_bytes = min(FINGERPRINT_BYTES, self.offset)
            self.fingerprint = _checksum(file.read(self.fingerprint_bytes))
            file.seek(self.offset)


def load_checkpoints(path: Path) -> tuple[list[FileCheckpoint], dict[str, datetime]]:
    """Return the checkpoints, and each sensor's newest minute in the repeated hour.

    Raises ValueError for a damaged file.
    """
    if not path.exists():
        return [], {}
    try:
        content = json.loads(read_limited(path, MAX_CHECKPOINT_FILE_BYTES))
        dst_state = {sensor: datetime.fromisoformat(at) for sensor, at in content["turning"].items()}
        if any(at.tzinfo is None for at in dst_state.values()):
            raise ValueError("a time in 'turning' has no UTC offset")
        return [_parse_checkpoint(stored) for stored in content["files"]], dst_state
    except (OSError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _parse_checkpoint(stored: dict[str, Any]) -> FileCheckpoint:
    """Build a checkpoint from its stored keys. Raises LookupError, TypeError or ValueError."""
    checkpoint = FileCheckpoint(**{ATTRIBUTES.get(key, key): value for key, value in stored.items()})
    checkpoint.file_state = checkpoint.read_state = (checkpoint.read_state[0], checkpoint.read_state[1])
    numbers = (
        checkpoint.inode,
        checkpoint.offset,
        checkpoint.lines,
        checkpoint.fingerprint_bytes,
        *(number + 1 for number in checkpoint.read_state),
    )
    if (
        not all(type(number) is int and 0 <= number < 2**63 for number in numbers)
        or checkpoint.fingerprint_bytes > FINGERPRINT_BYTES
    ):
        raise ValueError(f"invalid checkpoint: expected integers from 0 to 2**63 - 1, found {numbers}")
    if not all(isinstance(text, str) for text in (checkpoint.name, checkpoint.header, checkpoint.fingerprint)):
        raise TypeError("name, header or head is not text")
    if not checkpoint.name.isprintable() or len(checkpoint.header) > MAX_LINE_BYTES:
        raise ValueError("invalid file name or header")
    checkpoint.renamed, checkpoint.in_oversized_line = checkpoint.renamed is True, checkpoint.in_oversized_line is True
    return checkpoint


def save_checkpoints(path: Path, checkpoints: list[FileCheckpoint], dst_state: dict[str, datetime]) -> None:
    """Write the checkpoints atomically. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = {sensor: at.isoformat() for sensor, at in dst_state.items()}
    files = [{KEYS.get(name, name): value for name, value in asdict(item).items()} for item in checkpoints]
    write_atomic(path, json.dumps({"files": files, "turning": times}, indent=1))


def list_input_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and state of the files in a folder, without those that WVR writes."""
    for path in folder.iterdir() if folder.is_dir() else ():
        is_output = path.name == "alert.txt" or path.name.startswith(".") or fnmatch(path.name, "server*.txt")
        with suppress(OSError):
            if not is_output and stat.S_ISREG((state := path.stat()).st_mode):
                yield path.name, state


def _checksum(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
