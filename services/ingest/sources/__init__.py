"""Sources of measurements, one module each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.sources.simulator import SimulatorSource, make_simulator
from shared.settings import Settings


class Source(Protocol):
    """Delivers new measurements at least once."""

    def poll(self, now: datetime, max_items: int) -> Iterable[Measurement | BadLine]:
        """Yield what arrived since the last poll, about `max_items` items."""
        ...

    def commit(self) -> None:
        """Commit the position: polled items are safe and need not be delivered again after a restart."""
        ...


SOURCES: dict[str, Callable[[Settings], Source]] = {
    "file": lambda settings: FileSource(
        settings.sensor_folder, settings.ingest.files, settings.zone, settings.data / "spool" / "place.json"
    ),
    "simulator": lambda settings: SimulatorSource(make_simulator(settings)),
}
