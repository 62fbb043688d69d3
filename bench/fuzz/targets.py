"""What is fuzzed: a name, what takes the bytes, seeds, and how large its part of the inputs is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

FuzzInput = Callable[[bytes], None]
"""Takes one input; raises what nobody expects."""


@dataclass(frozen=True)
class Target:
    """`room` has a function `open(name, folder) -> Take` and one `seeds(name) -> bytes …`."""

    room: str
    parts: int
    """Of the inputs, in percent."""
    longest: int = 2000
    """Bytes of an input."""

    def open(self, name: str, folder: Path) -> FuzzInput:
        """The target, with an empty folder to work in."""
        take: FuzzInput = import_module(f"bench.fuzz.{self.room}").open_target(name, folder)
        return take

    def seeds(self, name: str) -> Iterable[bytes]:
        found: Iterable[bytes] = import_module(f"bench.fuzz.{self.room}").seeds(name)
        return found


TARGETS = {
    "wire": Target("wire", 32, 4000),
    "lines of a file": Target("lines", 22),
    "serial lines": Target("lines", 27),
    "files that grow, turn, shrink": Target("files", 2),
    "place.json": Target("files", 2),
    "spool": Target("spool", 2),
    "site.toml": Target("site", 3),
    "model folder": Target("models", 1, 4000),
    "files of the reporter": Target("reports", 2),
    "ingest": Target("services", 2),
    "detector": Target("services", 1),
    "forecaster": Target("services", 1),
    "trainer": Target("services", 1),
    "db_writer": Target("services", 1),
    "reporter": Target("services", 1),
}
