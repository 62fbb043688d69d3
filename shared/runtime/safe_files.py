"""Files that a reader never sees half of, and files that a stranger may have made."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular_file(path: Path) -> BinaryIO:
    """Opens a file to read; never waits for the other end of a pipe. Raises OSError, also for a pipe or device."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "is no regular file", str(path))


def read_limited(path: Path, max_bytes: int) -> bytes:
    """The content of a file that has at most so many bytes. Raises OSError, also for a larger one."""
    with open_regular_file(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"is larger than {max_bytes} bytes", str(path))
    return content


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes beside, flushes to disk and renames. Raises OSError, and then nothing has changed."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # Half a file would take what little space there is.
        beside.unlink(missing_ok=True)
        raise
    beside.replace(path)
    fsync_path(path.parent)


def fsync_path(path: Path) -> None:
    """Makes a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
