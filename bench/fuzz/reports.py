"""Fuzz of server.txt and server.part.txt: the reporter starts and keeps writing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.fuzz.bytes_source import BytesSource
from bench.fuzz.message_generator import START
from bench.fuzz.targets import FuzzInput
from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.service import Reporter
from shared.contract.messages import Check, FlowChecks, PressureChecks, Reading, Tick, Verdict

HOURS = (24, 48)
ZONE = ZoneInfo("Asia/Seoul")
LINE = b"001  2026-11-23T23:05  12.34  4.11  0 0 0 1  0 0 NULL  1.00 2.00  NULL NULL\n"


class _FakeFolder(dict[str, str]):
    """data/sensor/ in memory."""

    def write(self, name: str, text: str) -> None:
        self[name] = text

    def read(self, name: str) -> str:
        return self.get(name, "")

    def prune_outbox(self, before: str, max_newer: int) -> None: ...


def open_target(_: str, __: Path) -> FuzzInput:
    import atheris

    def run_input(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        folder = _FakeFolder()
        for name in ("server.txt", "server.part.txt"):
            content = LINE * draw.integer(0, 12) + draw.raw(draw.integer(0, 300))
            folder[name] = content.decode("utf-8", "replace")
        reporter = Reporter(folder, ZONE, HOURS, 7, NullHistoryLookup())
        list(reporter.start())
        for minute in range(0, 24, 6):
            list(reporter.handle(_verdict(minute)))
            list(reporter.handle(Tick("site1", START + timedelta(minutes=minute))))
            list(reporter.end_batch())
        assert "001  " in folder["alert.txt"]

    return run_input


def _verdict(minute: int) -> Verdict:
    at = START + timedelta(minutes=minute)
    reading = Reading(
        site="site1", sensor="001", at=at, flow_rate=12.34, pressure=None, boot_id="boot", seq=minute, source="file"
    )
    verdict = Verdict(
        site="site1", sensor="001", at=at, reading=reading, flow_rate=FlowChecks(Check(0)), pressure=PressureChecks()
    )
    return replace(verdict, pressure=PressureChecks(Check(1)))


def seeds(_: str) -> Iterator[bytes]:
    yield LINE * 4 + bytes([60, 2, 60, 2])
    yield LINE.replace(b"2026", b"2099") * 4 + bytes([200, 0, 200, 0])
