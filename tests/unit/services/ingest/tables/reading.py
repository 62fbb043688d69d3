"""Reads a text as a file of readings, for tests."""

from __future__ import annotations

from pathlib import Path

from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.tables.opening import open_readings
from shared.settings import Settings
from shared.settings.sections import FileTable

Row = tuple[str, str, float | None, float | None]
"""Minute, sensor, flow rate and pressure."""


def site(*stored: str, **table: object) -> Settings:
    """Return the settings of a site with these sensors, and with one `[source.NAME]` table if it has keys."""
    source = {"file": FileTable.model_validate(table)} if table else {}
    return Settings.model_validate({"sensors": {sensor: {} for sensor in stored}, "source": source})


def read_file(path: Path, settings: Settings | None = None) -> tuple[list[Row], list[str]]:
    """Return the measurements and the reasons of rejected lines of a file."""
    items = list(open_readings(path, settings or site("001"), ()))
    rows = [
        (f"{item.at:%Y-%m-%d %H:%M}", item.sensor, item.flow_rate, item.pressure)
        for item in items
        if isinstance(item, Measurement)
    ]
    return rows, [item.reason.en for item in items if isinstance(item, BadLine)]


def read_text(folder: Path, text: str, settings: Settings | None = None) -> tuple[list[Row], list[str]]:
    """Write a text as UTF-8 and read it."""
    path = folder / "readings.csv"
    path.write_bytes(text.encode())
    return read_file(path, settings)
