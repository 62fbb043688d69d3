"""data/sensor/ on disk, or kept in memory until a replay ends."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from shared.runtime.files import read_small, write_whole
from shared.runtime.log import log
from shared.runtime.service import Unavailable

MOST_BLOCKS = 60_000
"""In outbox/; a year has 52,560."""
LARGEST = 2_000_000
"""Bytes of server.txt; 64 sensors with all hours ahead have 1.3 MB."""


class SensorFolder:
    """Writes each file at once, as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        (path / "outbox").mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str) -> None:
        """Raises Unavailable while the disk is full."""
        try:
            write_whole(self._path / name, text)
        except OSError as error:
            raise Unavailable(f"{name} can't be written, lines wait: {error.strerror}") from error

    def read(self, name: str) -> str:
        try:
            return read_small(self._path / name, LARGEST).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            log("reporter", "an own file can't be read", logging.ERROR, file=name, reason=str(error))
            return ""

    def prune_outbox(self, before: str, most: int) -> None:
        found = sorted((self._path / "outbox").glob("server-*.txt"))
        kept = [path for path in found[:-most] if path.name >= before] + found[-most:]
        for path in {*found} - {*kept[-MOST_BLOCKS:]}:
            with suppress(OSError):
                path.unlink()


class DeferredFolder:
    """Keeps the newest text of each file until `flush`: a replayed year would write half a million otherwise."""

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

    def prune_outbox(self, before: str, most: int) -> None:
        while len(self._outbox) > most and (oldest := next(iter(self._outbox))) < f"outbox/{before}":
            del self._outbox[oldest]

    def flush(self) -> None:
        """Writes what was kept. Nothing is forced to disk: a replay can be repeated."""
        (self._path / "outbox").mkdir(parents=True, exist_ok=True)
        for name, text in {**self._texts, **self._outbox}.items():
            (self._path / name).write_text(text, encoding="utf-8")
