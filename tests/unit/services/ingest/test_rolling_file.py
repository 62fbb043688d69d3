"""A file that is rewritten whole each minute: only new lines are taken, and no clock is doubted."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.ingest.initial_history import NoInitialHistory
from services.ingest.service import Ingest
from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine
from services.ingest.spool import NullSpool
from services.ingest.tables.rows import SensorNames
from services.ingest.tick_clock import TickClock
from shared.contract.messages import Reading, Tick
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings
from shared.settings.sections import FileTable

KEPT_MINUTES = 1500
ZONE = Settings().zone
START = datetime(2026, 3, 2, tzinfo=ZONE)


def write(folder: Path, now: datetime, newest_first: bool, by_rename: bool) -> None:
    times = [now - timedelta(minutes=back) for back in range(KEPT_MINUTES, 0, -1)]
    rows = [f"{at:%Y-%m-%d %H:%M},001,{30 + at.minute / 10},4.0\n" for at in times]
    text = "timestamp,sensor,flow_rate,pressure\n" + "".join(reversed(rows) if newest_first else rows)
    target = folder / "rolling.csv"
    beside = folder / ".rolling.tmp" if by_rename else target
    beside.write_text(text, encoding="utf-8")
    beside.replace(target)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("by_rename", [False, True])
def test_only_new_lines_are_taken(tmp_path: Path, newest_first: bool, by_rename: bool) -> None:
    source = FileSource(tmp_path, [FileTable(files="*.csv")], ZONE, tmp_path / "spool/place.json", SensorNames(()))
    bad: list[BadLine] = []
    service = Ingest("site1", NullSpool("boot"), "file", SensorRegistry({}), bad.append, NoInitialHistory())
    clock = TickClock(None, lambda _: None)
    numbers = []
    for minute in range(12):
        now = START + timedelta(minutes=minute)
        write(tmp_path, now, newest_first, by_rename)
        readings: list[Reading] = []
        for _ in range(4):
            for item in source.poll(now, 1000):
                if not isinstance(item, BadLine):
                    clock.observe_reading(int(item.at.timestamp()) // 60)
                readings += [message for message in service.handle(item) if isinstance(message, Reading)]
        numbers.append(len(readings))
        clock.next_tick(int(now.timestamp()) // 60 - 1)
        list(service.handle(Tick("site1", now - timedelta(minutes=1))))
        source.commit()
    assert numbers == [KEPT_MINUTES] + [1] * 11
    assert bad == []
    assert clock.problem is None
