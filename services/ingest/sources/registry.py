"""Sources of measurements, one module each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.sources.simulator import SimulatorSource, make_simulator
from services.ingest.tables.rows import SensorNames
from shared.settings import Settings


class Source(Protocol):
    """Delivers new measurements at least once."""

    def poll(self, now: datetime, max_items: int) -> Iterable[Measurement | BadLine]:
        """Yield what arrived since the last poll, about `max_items` items."""
        ...

    def commit(self) -> None:
        """Commit the position: polled items are safe and need not be delivered again after a restart."""
        ...


def _file_source(settings: Settings, stored_sensors: Iterable[str]) -> FileSource:
    known = {*settings.sensors} or {*stored_sensors}
    return FileSource(
        settings.sensor_folder,
        settings.live_files,
        settings.zone,
        settings.data / "spool" / "place.json",
        SensorNames(known, next(iter(known)) if len(known) == 1 else ""),
    )


SOURCES: dict[str, Callable[[Settings, Iterable[str]], Source]] = {
    "file": _file_source,
    "simulator": lambda settings, _: SimulatorSource(make_simulator(settings)),
}
"""Name of a source to what makes it of the settings and the sensors with stored readings."""
