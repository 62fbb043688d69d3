"""Report of the database's size, and the days until the disk is full."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.db_writer.storage_monitor import StorageMonitor, StorageUse, days_left
from services.db_writer.storage_probe import DiskStorageProbe
from shared.contract.messages import StorageState
from shared.store.history import History
from shared.store.recorder import Recorder
from tests.unit.factories import minute_at, reading, tick

NOW = minute_at(0)
USE = StorageUse(
    database_bytes=50_000_000,
    backup_bytes=50_000_000,
    disk_free_bytes=200_000_000,
    oldest_at=NOW - timedelta(days=100),
    last_backup_at=None,
)


class FixedProbe:
    """Always the same use."""

    def measure(self) -> StorageUse:
        return USE


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (USE, 200.0),
        (replace(USE, disk_free_bytes=10_000_000), 10.0),
        (replace(USE, disk_free_bytes=10**12), None),
        (replace(USE, oldest_at=None), None),
    ],
    ids=["fills within the retention", "nearly full", "retention comes first", "nothing stored"],
)
def test_days_left_follow_from_the_growth_so_far(use: StorageUse, expected: float | None) -> None:
    assert days_left(use, NOW, retention_days=365) == expected


def test_report_comes_at_the_first_tick_and_every_ten_minutes() -> None:
    monitor = StorageMonitor("site1", FixedProbe(), 365)
    times = []
    for minute in range(1, 32):
        monitor.on_tick(tick(minute))
        times += [message.at for message in monitor.poll() if isinstance(message, StorageState)]
    assert [at.minute for at in times] == [tick(1).at.minute, 10, 20, 30]


def test_probe_measures_the_files_of_a_site(tmp_path: Path) -> None:
    zone, database = ZoneInfo("Asia/Seoul"), tmp_path / "wvr.db"
    probe = DiskStorageProbe(database, tmp_path / "backup", zone, History(database, zone, "site1"))
    recorder = Recorder(database, zone, ())
    recorder.write([reading(0), reading(1)])
    use = probe.measure()
    assert use is not None
    assert use.oldest_at == reading(0).at
    assert use.database_bytes >= database.stat().st_size
    assert (use.backup_bytes, use.last_backup_at) == (0, None)
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/wvr-20261123T023000.db").write_bytes(b"12345")
    use = probe.measure()
    assert use is not None
    assert use.backup_bytes == 5
    assert use.last_backup_at is not None
    assert f"{use.last_backup_at:%Y-%m-%d %H:%M %z}" == "2026-11-23 02:30 +0900"
    recorder.close()
