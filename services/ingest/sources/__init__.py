"""Where measurements come from: one file per source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.sources.simulator import SimulatorSource, make_simulator
from shared.settings import Settings


class Source(Protocol):
    """Gives what is new, at least once."""

    def poll(self, now: datetime, max_items: int) -> Iterable[Measurement | BadLine]:
        """What came since the last poll, about `most` items."""
        ...

    def commit(self) -> None:
        """All that was polled is safe; it need not come again after a restart."""
        ...


SOURCES: dict[str, Callable[[Settings], Source]] = {
    "file": lambda settings: FileSource(
        settings.sensor_folder, settings.ingest.files, settings.zone, settings.data / "spool" / "place.json"
    ),
    "simulator": lambda settings: SimulatorSource(make_simulator(settings)),
}
