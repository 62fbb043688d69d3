"""Atomic writes, and bounded reads of files that others may have created."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular_file(path: Path) -> BinaryIO:
    """Open a file for reading without ever waiting for a pipe. Raises OSError, also for a pipe or device."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_limited(path: Path, max_bytes: int) -> bytes:
    """Return the content of a file. Raises OSError, also if it is larger than `max_bytes`."""
    with open_regular_file(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes", str(path))
    return content


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a temporary file, sync it and rename it. Raises OSError, and then nothing has changed."""
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # An incomplete file would use up the little space that is left.
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
    fsync_path(path.parent)


def fsync_path(path: Path) -> None:
    """Sync a file, or the names in a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
