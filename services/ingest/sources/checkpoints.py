"""Checkpoints: the position in each followed file, kept across restarts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
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
TRANSIENT = ("quiet_since", "is_removed")
"""Attributes that are not kept."""
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
    open_bytes: int = 0
    """Bytes before `offset` of a line that was read without its end, because the file was quiet."""

    quiet_since: datetime | None = None
    """When the present `file_state` was first seen; not kept across restarts."""
    is_removed: bool = False
    """Whether WVR has archived or deleted the file; not kept across restarts."""

    @property
    def is_gzip(self) -> bool:
        return self.name.casefold().endswith(".gz")

    @property
    def has_open_line(self) -> bool:
        """Whether bytes are left at the end of the file; not known of a .gz."""
        return self.offset < self.file_state[0] and not self.is_gzip

    def observe(self, file_state: tuple[int, int], now: datetime | None) -> bool:
        """Record the state of the file at a scan; return whether it has changed."""
        has_changed, self.file_state = file_state != self.file_state, file_state
        if has_changed or self.quiet_since is None or (now and now < self.quiet_since):
            self.quiet_since = now
        return has_changed

    def is_quiet(self, now: datetime, span: timedelta) -> bool:
        """Whether the file has not changed for so long."""
        return self.quiet_since is not None and now - self.quiet_since >= span

    def is_finished(self, now: datetime, span: timedelta) -> bool:
        """Whether the file was read to its end and has not changed for so long."""
        is_read = self.read_state == self.file_state and self.offset and (self.is_gzip or not self.has_open_line)
        return bool(is_read) and self.is_quiet(now, span)

    def matches(self, file: BinaryIO) -> bool:
        """Whether a file has the same beginning and is at least as long; leaves it at the offset."""
        same = _checksum(file.read(self.fingerprint_bytes)) == self.fingerprint if self.fingerprint_bytes else True
        if self.offset:
            file.seek(self.offset - 1)
            same = same and bool(file.read(1))
        return same

    def update_fingerprint(self, head: bytes) -> None:
        """Extend the fingerprint as far as the file was read; `head` is its first FINGERPRINT_BYTES."""
        known = min(FINGERPRINT_BYTES, self.offset, len(head))
        if self.fingerprint_bytes < known:
            self.fingerprint_bytes, self.fingerprint = known, _checksum(head[:known])

    def restart(self) -> None:
        """Begin again: the file has another content."""
        self.offset, self.lines, self.header, self.open_bytes = 0, 0, "", 0
        self.fingerprint_bytes, self.fingerprint = 0, ""
        self.renamed = self.in_oversized_line = False

    def continue_from(self, gone: FileCheckpoint) -> None:
        """Take over the position in a file of which this one is a copy."""
        self.offset, self.lines, self.header, self.open_bytes = gone.offset, gone.lines, gone.header, gone.open_bytes
        self.in_oversized_line = gone.in_oversized_line
        self.fingerprint_bytes, self.fingerprint = gone.fingerprint_bytes, gone.fingerprint


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
    checkpoint = FileCheckpoint(
        **{ATTRIBUTES.get(key, key): value for key, value in stored.items() if key not in TRANSIENT}
    )
    checkpoint.file_state = checkpoint.read_state = (checkpoint.read_state[0], checkpoint.read_state[1])
    numbers = (
        checkpoint.inode,
        checkpoint.offset,
        checkpoint.lines,
        checkpoint.fingerprint_bytes,
        checkpoint.open_bytes,
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
    files = [
        {KEYS.get(name, name): value for name, value in asdict(item).items() if name not in TRANSIENT}
        for item in checkpoints
    ]
    write_atomic(path, json.dumps({"files": files, "turning": times}, indent=1))


def _checksum(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
