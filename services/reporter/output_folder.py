"""data/sensor/ on disk, or buffered in memory until a replay ends."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from shared.contract.report_files import repeats_name
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.runtime.log import log
from shared.runtime.safe_files import read_limited, write_atomic

MAX_BLOCKS = 60_000
"""Blocks in outbox/; a year has 52,560."""
MAX_REPORT_BYTES = 2_000_000
"""Bytes of server.txt; 64 sensors with all horizons have 1.3 MB."""


class OutputFolder:
    """Writes each file atomically."""

    def __init__(self, path: Path) -> None:
        self._path = path
        (path / "outbox").mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str) -> None:
        """Replace a file. Raises Unavailable while the disk is full."""
        try:
            write_atomic(self._path / name, text)
        except OSError as error:
            raise Unavailable(problem("output_not_writable", file=name, reason=error.strerror)) from error

    def read(self, name: str) -> str:
        try:
            return read_limited(self._path / name, MAX_REPORT_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            log("reporter", "report_unreadable", logging.ERROR, file=name, reason=str(error))
            return ""

    def prune_outbox(self, before: str, max_newer: int) -> None:
        blocks = sorted((self._path / "outbox").glob("server-*.txt"))
        retained = [path for path in blocks[:-max_newer] if path.name >= before] + blocks[-max_newer:]
        for path in {*blocks} - {*retained[-MAX_BLOCKS:]}:
            with suppress(OSError):
                path.unlink()
                path.with_name(repeats_name(path.name)).unlink(missing_ok=True)


class BufferedOutputFolder:
    """Buffers the newest text of each file until `flush`: a replayed year would write half a million files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts: dict[str, str] = {}
        self._outbox: dict[str, str] = {}

    def write(self, name: str, text: str) -> None:
        if name.startswith("outbox/"):
            self._outbox[name] = text
        else:
            self._texts[name] = text

    def read(self, name: str) -> str:
        return self._texts.get(name, "")

    def prune_outbox(self, before: str, max_newer: int) -> None:
        while len(self._outbox) > max_newer and (oldest := next(iter(self._outbox))) < f"outbox/{before}":
            del self._outbox[oldest]

    def flush(self) -> None:
        """Write the buffered files without syncing them, because a replay can be repeated."""
        (self._path / "outbox").mkdir(parents=True, exist_ok=True)
        for name, text in {**self._texts, **self._outbox}.items():
            (self._path / name).write_text(text, encoding="utf-8")
