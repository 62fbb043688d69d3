"""Fuzz of data/sensor/ and place.json: FileSource yields items, and each poll ends."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.fuzz.bytes_source import BytesSource
from bench.fuzz.message_generator import START
from bench.fuzz.targets import FuzzInput
from services.ingest.sources.file_tail import FileSource
from services.ingest.tables.rows import SensorNames
from shared.settings.sections import FileTable

ZONE = ZoneInfo("Europe/Berlin")
NAMES = ("a.csv", "b.csv", "c.csv.gz", "a\nb.csv", "a.csv.1")
LINE = b"2026-08-03 09:49,001,12.5,4.1\n"


def _source(sensor: Path, checkpoint_file: Path) -> FileSource:
    return FileSource(sensor, [FileTable(files="*.csv")], ZONE, checkpoint_file, SensorNames(("001",), "001"))


def open_target(name: str, folder: Path) -> FuzzInput:
    sensor, checkpoint_file = folder / "sensor", folder / "place.json"
    sensor.mkdir()
    return _fuzz_checkpoints(sensor, checkpoint_file) if name == "place.json" else _fuzz_folder(sensor, checkpoint_file)


def _fuzz_checkpoints(sensor: Path, checkpoint_file: Path) -> FuzzInput:
    (sensor / "a.csv").write_bytes(LINE * 3)
    inode = (sensor / "a.csv").stat().st_ino

    def run_input(data: bytes) -> None:
        checkpoint_file.write_bytes(data.replace(b"INODE", str(inode).encode()))
        source = _source(sensor, checkpoint_file)
        assert len(list(source.poll(START, 100))) <= 100
        source.commit()
        assert not list(_source(sensor, checkpoint_file).poll(START, 100))

    return run_input


def _fuzz_folder(sensor: Path, checkpoint_file: Path) -> FuzzInput:
    import atheris

    def run_input(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        for path in (*sensor.iterdir(), checkpoint_file):
            path.unlink(missing_ok=True)
        source = _source(sensor, checkpoint_file)
        for _ in range(draw.integer(1, 6)):
            _change_file(draw, sensor)
            assert len(list(source.poll(START, 20))) <= 20
            if draw.integer(0, 1):
                source.commit()
                source = _source(sensor, checkpoint_file)

    return run_input


def _change_file(draw: BytesSource, sensor: Path) -> None:
    path = sensor / NAMES[draw.integer(0, len(NAMES) - 1)]
    content = draw.raw(draw.integer(0, 80)) + LINE * draw.integer(0, 3)
    match draw.integer(0, 5):
        case 0:
            path.write_bytes(content)
        case 1:
            path.write_bytes(gzip.compress(content, 1)[: draw.integer(0, 200)])
        case 2 if path.exists():
            path.rename(sensor / NAMES[draw.integer(0, len(NAMES) - 1)])
        case 3:
            path.unlink(missing_ok=True)
        case _:
            with path.open("ab") as file:
                file.write(content)


def seeds(name: str) -> Iterator[bytes]:
    if name != "place.json":
        yield LINE * 5 + bytes(range(60))
        return
    checkpoint = {
        "name": "a.csv",
        "inode": 0,
        "offset": 30,
        "lines": 1,
        "header": "",
        "head_bytes": 30,
        "head": "0" * 64,
    }
    checkpoints = {
        "files": [{**checkpoint, "seen": [1, 2], "ended": [1, 2]}],
        "turning": {"001": "2016-10-30T02:30+01:00"},
    }
    yield json.dumps(checkpoints).replace('"inode": 0', '"inode": INODE').encode()
    yield b'{"files": [], "turning": {}}'
