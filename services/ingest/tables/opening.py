"""Opens a complete file of readings; pandas is loaded only for what is not the documented CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from services.ingest.minutes import join_minutes
from services.ingest.sources.line_reader import READ_ERRORS, BadLine, LineError, Measurement
from services.ingest.sources.time_order import in_time_order
from services.ingest.tables.documented import DocumentedFile, is_documented_file
from services.ingest.tables.headers import Layout, TableError
from services.ingest.tables.rows import RowReader, SensorNames
from services.ingest.tables.values import Values
from shared.settings import Settings
from shared.settings.sections import FileTable

PEEKED_ITEMS = 1000
"""Items that show whether a file has its newest readings first."""


class OpenFile(Protocol):
    """A file whose form is known. Iterate for its measurements and rejected lines; the counts are then complete."""

    @property
    def form(self) -> str:
        """Encoding and separator, or sheet, for people."""
        ...

    @property
    def layout(self) -> Layout: ...

    @property
    def values(self) -> Values: ...

    @property
    def reader(self) -> RowReader: ...

    @property
    def sensors(self) -> SensorNames: ...

    @property
    def skipped(self) -> Counter[str]:
        """Kind of rows that hold no readings to their number."""
        ...

    def __iter__(self) -> Iterator[Measurement | BadLine]: ...


def open_readings(
    path: Path, settings: Settings, stored: Iterable[str], sensor: str = "", source: str = ""
) -> OpenFile:
    """Return a file of readings, to be iterated.

    `sensor` is the sensor of a file that names none; `source` names a table `[source.NAME]`, which is needed only where
    there are several. Raises TableError, OSError.
    """
    table = _table(settings, source)
    known = {*settings.sensors} or {*stored}
    only = sensor or (next(iter(known)) if len(known) == 1 else "")
    names = SensorNames(known | ({sensor} - {""}), only)
    with suppress(LineError, *READ_ERRORS[1:]):
        if not (table.columns or table.units) and is_documented_file(path):
            return DocumentedFile(path, settings.zone, table, names)
    from services.ingest.tables.readings_file import ReadingsFile

    try:
        return ReadingsFile(path, settings.zone, table, names)
    except READ_ERRORS[1:] as error:
        raise TableError(f"{path.name} can't be read: {error}") from error


def by_minute(items: Iterable[Measurement | BadLine]) -> Iterator[Measurement | BadLine]:
    """Yield one measurement for each minute of a sensor, in order of time; a file may have its newest ones first."""
    source = iter(items)
    head = list(islice(source, PEEKED_ITEMS))
    times = [item.at for item in head if isinstance(item, Measurement)]
    if times and times[0] > times[-1]:
        rest = [*head, *source]
        bad = [item for item in rest if isinstance(item, BadLine)]
        readings = sorted((item for item in rest if isinstance(item, Measurement)), key=lambda item: item.at)
        return join_minutes(chain(bad, readings))
    return join_minutes(in_time_order(chain(head, source)))


def _table(settings: Settings, source: str) -> FileTable:
    if source:
        if source not in settings.source:
            raise TableError(f"site.toml has no [source.{source}]; it has {', '.join(settings.source) or 'none'}")
        return settings.source[source]
    if len(settings.source) > 1:
        raise TableError(f"site.toml has several sources; pass --source with one of {', '.join(settings.source)}")
    return next(iter(settings.source.values()), FileTable())
