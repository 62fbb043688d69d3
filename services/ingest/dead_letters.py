"""Dead-letter files in data/rejected/: one file per source file, bounded in size."""

from __future__ import annotations

from pathlib import Path

from services.ingest.sources.line_reader import BadLine
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem

MAX_FILE_BYTES = 2_000_000
"""Bytes; a larger file is renamed to .old.txt, which replaces the previous .old.txt."""
MAX_FILES = 100
"""Source files with a dead-letter file of their own; all others share one."""


class DeadLetterFiles:
    """Appends rejected lines; keeps at most 2 * MAX_FILE_BYTES for each of MAX_FILES files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._names = {path.name for path in folder.glob("*.rejected.txt")}

    def __call__(self, line: BadLine) -> None:
        """Append a rejected line. Raises Unavailable while the disk is full."""
        name = f"{Path(line.file).name[:60]}.rejected.txt"
        if name not in self._names and len(self._names) >= MAX_FILES:
            name = "others.rejected.txt"
        self._names.add(name)
        path = self._folder / name
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{line.number}\t{line.reason.en}\t{line.raw.rstrip()}\n")
                full = file.tell() > MAX_FILE_BYTES
            if full:
                path.replace(path.with_name(name.replace(".rejected.txt", ".rejected.old.txt")))
        except OSError as error:
            raise Unavailable(problem("rejected_not_writable", file=name, reason=error.strerror)) from error
