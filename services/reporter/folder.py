"""data/sensor/ on disk, or kept in memory until a replay ends."""

from __future__ import annotations

from pathlib import Path

from shared.runtime.files import write_whole
from shared.runtime.service import Unavailable


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
        path = self._path / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def prune_outbox(self, before: str, most: int) -> None:
        names = sorted(path.name for path in (self._path / "outbox").glob("server-*.txt"))
        for name in names[:-most]:
            if name < before:
                (self._path / "outbox" / name).unlink(missing_ok=True)


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
