"""Fuzz targets: name, module, share of the inputs, and input size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

FuzzInput = Callable[[bytes], None]
"""Handles one input; raises an error that the program must not raise."""


@dataclass(frozen=True)
class Target:
    """`module` has the functions `open_target(name, folder) -> FuzzInput` and `seeds(name) -> Iterator[bytes]`."""

    module: str
    percent: int
    """Share of all inputs."""
    max_bytes: int = 2000
    """Size of an input."""

    def open(self, name: str, folder: Path) -> FuzzInput:
        """Return the target; it works in an empty folder."""
        run_input: FuzzInput = import_module(f"bench.fuzz.{self.module}").open_target(name, folder)
        return run_input

    def seeds(self, name: str) -> Iterable[bytes]:
        inputs: Iterable[bytes] = import_module(f"bench.fuzz.{self.module}").seeds(name)
        return inputs


TARGETS = {
    "wire": Target("wire", 32, 4000),
    "lines of a file": Target("lines", 22),
    "serial lines": Target("lines", 26),
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
    "notifier": Target("services", 1),
}
