"""data/rejected/: what could not be read, a file for each source file; old lines make room for new ones."""

from __future__ import annotations

from pathlib import Path

from services.ingest.sources.line_reader import BadLine
from shared.contract.service import Unavailable

MAX_FILE_BYTES = 2_000_000
"""Bytes from which on a file is set aside as .old.txt, in the place of the one before."""
MAX_FILES = 100
"""Source files that have one of their own; the others share one."""


class DeadLetterFiles:
    """Keeps bad lines; never more than 2 * LARGEST bytes for each of MOST_FILES files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._names = {path.name for path in folder.glob("*.rejected.txt")}

    def __call__(self, line: BadLine) -> None:
        """Raises Unavailable while the disk is full."""
        name = f"{Path(line.file).name[:60]}.rejected.txt"
        if name not in self._names and len(self._names) >= MAX_FILES:
            name = "others.rejected.txt"
        self._names.add(name)
        path = self._folder / name
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{line.number}\t{line.reason}\t{line.raw.rstrip()}\n")
                full = file.tell() > MAX_FILE_BYTES
            if full:
                path.replace(path.with_name(name.replace(".rejected.txt", ".rejected.old.txt")))
        except OSError as error:
            raise Unavailable(f"{name} can't be written, readings wait: {error.strerror}") from error
