"""Files that a reader never sees half of."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
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
    flush_path(path.parent)


def flush_path(path: Path) -> None:
    """Makes a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
