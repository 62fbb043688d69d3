"""Fuzz of data/spool/: numbering continues, and complete lines are read back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from bench.fuzz.bytes_source import BytesSource
from bench.fuzz.message_generator import START
from bench.fuzz.targets import FuzzInput
from services.ingest.spool import Spool
from services.ingest.spool_segment import encode_line
from shared.contract.codec import validate
from shared.contract.messages import Reading

BOOT = "0123456789ab"
NAMES = (f"{BOOT}-000000000000.log", f"{BOOT}-000000000002.log", f"{BOOT}-999999999999.log", "x-aaaaaaaaaaaa.log")


def open_target(_: str, folder: Path) -> FuzzInput:
    import atheris

    def run_input(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        for path in folder.iterdir():
            path.unlink()
        for name in NAMES[: draw.integer(1, len(NAMES))]:
            (folder / name).write_bytes(_segment(draw))
        spool = Spool(folder, "site1", 2.0, 10.0)
        first_seq = spool.next_seq
        reading = Reading(
            site="site1",
            sensor="001",
            at=START,
            flow_rate=1.0,
            pressure=None,
            boot_id=spool.boot_id,
            seq=min(first_seq, 10**12 - 1),
            source="file",
        )
        spool.append(reading)
        spool.mark_stored(draw.integer(-1, 10))
        spool.on_position_committed()
        for stored_reading in spool.read_range(0, 10**12):
            validate(stored_reading)
        os.close(spool._file)

    return run_input


def _segment(draw: BytesSource) -> bytes:
    """Return valid and random lines, truncated at a random byte."""
    numbers = [draw.integer(-4, 5) for _ in range(4)]
    segment = b"".join(encode_line(_reading(seq)) if seq >= 0 else draw.raw(draw.integer(0, 60)) for seq in numbers)
    return segment[: draw.integer(0, len(segment))]


def _reading(seq: int) -> Reading:
    return Reading(
        site="site1",
        sensor="001",
        at=START + timedelta(minutes=seq),
        flow_rate=12.5,
        pressure=None,
        boot_id=BOOT,
        seq=seq,
        source="file",
    )


def seeds(_: str) -> Iterator[bytes]:
    yield b"".join(encode_line(_reading(seq)) for seq in range(4)) + b"=\n" + bytes([3, 1] * 20)
