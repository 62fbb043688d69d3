"""Reads the reporter's blocks as verdicts with readings, to backfill minutes that a restored database lacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from shared.contract.messages import CHANNELS, Channel, Check, FlowChecks, PressureChecks, Reading, Verdict
from shared.contract.report_files import parse_repeats, repeats_name
from shared.store.recorder import BACKFILL_SOURCE

FLAG_CHECKS = {"0": Check(0), "1": Check(1), "NULL": Check()}


class ReportReader:
    """Reads data/sensor/ while the marker file exists."""

    def __init__(self, folder: Path, marker: Path, site: str, zone: ZoneInfo) -> None:
        self._folder, self._marker, self._site, self._zone = folder, marker, site, zone

    @property
    def backfill_pending(self) -> bool:
        """Whether the database was replaced and not yet backfilled."""
        return self._marker.exists()

    def batches(self) -> Iterator[list[Verdict]]:
        """Yield verdicts in order of time, at most a day per batch. Invalid lines are skipped."""
        blocks = sorted((self._folder / "outbox").glob("server-????????T????.txt"))
        for _, files in groupby(blocks, lambda path: path.name[:15]):
            yield [verdict for path in files for verdict in self._read(path)]
        for name in ("server.txt", "server.part.txt"):
            yield list(self._read(self._folder / name))

    def mark_complete(self) -> None:
        """Delete the marker: all batches are stored."""
        self._marker.unlink(missing_ok=True)

    def _read(self, path: Path) -> Iterator[Verdict]:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return
        repeats = self._repeats(path)
        for line in lines:
            with suppress(ValueError, TypeError, KeyError):
                sensor, minute, *columns = line.split()[:11]
                for channel in repeats.get((minute, sensor), ()):
                    columns[CHANNELS.index(cast("Channel", channel))] = "NULL"
                if verdict := self._verdict(sensor, minute, *columns):
                    yield verdict

    def _repeats(self, path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return (minute, sensor) to the channels that only repeat an earlier reading."""
        try:
            return parse_repeats(path.with_name(repeats_name(path.name)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _verdict(self, sensor: str, minute: str, flow_rate: str, pressure: str, *flags: str) -> Verdict | None:
        """Parse a line; None for a minute without values, and for one that the end of DST makes ambiguous."""
        at = datetime.fromisoformat(minute).replace(tzinfo=self._zone)
        if flow_rate == pressure == "NULL" or at.utcoffset() != at.replace(fold=1).utcoffset():
            return None
        if len(flags) != 7:
            raise ValueError("truncated line")
        checks = [FLAG_CHECKS[flag] for flag in flags]
        flow_checks, pressure_checks = FlowChecks(*checks[:4]), PressureChecks(*checks[4:])
        reading = Reading(
            site=self._site,
            sensor=sensor,
            at=at,
            flow_rate=_parse_value(flow_rate),
            pressure=_parse_value(pressure),
            boot_id=BACKFILL_SOURCE,
            seq=0,
            source=BACKFILL_SOURCE,
        )
        return Verdict(
            site=self._site, sensor=sensor, at=at, reading=reading, flow_rate=flow_checks, pressure=pressure_checks
        )


def _parse_value(text: str) -> float | None:
    if text == "NULL":
        return None
    if not isfinite(value := float(text)):
        raise ValueError(text)
    return value
