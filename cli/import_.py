"""`./wvr import FILE`: import past readings through the running site, or under the writer lock if it is stopped."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from cli.broker_client import publish_and_wait
from services.ingest.sources.line_reader import BadLine, read_measurements
from shared.contract.messages import HistoryBatch, HistoryMinute, Message, Progress
from shared.contract.service import Unavailable
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings, SettingsError, load_settings
from shared.store.history import History as Stored
from shared.store.recorder import Recorder
from shared.store.writer_lock import WriterLockHeld

BATCH_MINUTES = 5000
"""Readings in one message."""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr import", description=__doc__)
    command.add_argument("file", type=Path, help="CSV or text file, .gz too")
    command.add_argument("--data", type=Path, help="data folder; default: the site's own")
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        settings = load_settings()
        settings = settings.model_copy(update={"data": options.data}) if options.data else settings
        began = time.perf_counter()
        minutes, bad = _read(options.file, settings)
        parts = list(in_batches(minutes, settings.site.name))
        outcome = _store(parts, settings)
    except (SettingsError, OSError, Unavailable) as error:
        print(f"wvr import: {error}", file=sys.stderr)
        return 1
    rows = sum(len(part.minutes) for part in parts)
    print(f"{rows} readings {outcome} in {time.perf_counter() - began:.2f} s, {len(bad)} lines rejected")
    for line in bad[:20]:
        print(f"{line.file}:{line.number}: {line.reason.en}", file=sys.stderr)
    return 1 if bad else 0


def in_batches(minutes: dict[str, list[HistoryMinute]], site: str) -> Iterator[HistoryBatch]:
    """Yield the readings of each sensor as HistoryBatch messages."""
    slices = [
        (sensor, rows[at : at + BATCH_MINUTES])
        for sensor, rows in minutes.items()
        for at in range(0, len(rows), BATCH_MINUTES)
    ]
    for number, (sensor, rows) in enumerate(slices, 1):
        yield HistoryBatch(site=site, sensor=sensor, source="import", part=number, of=len(slices), minutes=tuple(rows))


def _read(file: Path, settings: Settings) -> tuple[dict[str, list[HistoryMinute]], list[BadLine]]:
    minutes: dict[str, list[HistoryMinute]] = defaultdict(list)
    bad: list[BadLine] = []
    register = SensorRegistry(settings.sensors, Stored(settings.database, settings.zone, settings.site.name).sensors)
    for item in read_measurements(file, settings.zone):
        if isinstance(item, BadLine):
            bad.append(item._replace(raw=""))
        elif reason := register.rejection_reason(item.sensor):
            bad.append(BadLine(file.name, 0, "", reason))
        else:
            minutes[item.sensor].append((item.at, item.flow_rate, item.pressure))
    return minutes, bad


def _store(parts: list[HistoryBatch], settings: Settings) -> str:
    try:
        recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
    except WriterLockHeld:
        publish_and_wait(settings, parts, lambda message: _stored(message, parts))
        return "sent to the running site"
    recorder.write(parts)
    recorder.close()
    return "stored"


def _stored(message: Message, parts: list[HistoryBatch]) -> bool:
    return isinstance(message, Progress) and message.job == "import" and message.step == message.of == len(parts)
