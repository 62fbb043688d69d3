"""The spool through restarts, power cuts, full disks and years, and retransmission from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.ingest import spool as spools
from services.ingest.initial_history import NoInitialHistory
from services.ingest.retransmission import WINDOW_READINGS
from services.ingest.service import Ingest
from services.ingest.sources.parser import Measurement
from services.ingest.spool import Spool
from services.ingest.spool_segment import latest_seq
from shared.contract.messages import Message, Reading, Stored
from shared.contract.service import Unavailable
from shared.runtime.sensor_registry import SensorRegistry
from tests.unit.factories import START, minute_at, tick


def spool(folder: Path, days: float = 2, megabytes: float = 10) -> Spool:
    return Spool(folder, "site1", days, megabytes)


def ingest(own_spool: Spool) -> Ingest:
    return Ingest("site1", own_spool, "file", SensorRegistry(), lambda _: None, NoInitialHistory())


def measurement(minute: int) -> Measurement:
    return Measurement("001", minute_at(minute), minute + 0.1, None)


def accept(service: Ingest, *minutes: int) -> list[Reading]:
    messages = [message for minute in minutes for message in service.handle(measurement(minute))]
    return [message for message in messages if isinstance(message, Reading)]


def stored(own_spool: Spool, seq: int, seen: int) -> Stored:
    return Stored(site="site1", boot_id=own_spool.boot_id, seq=seq, at=START, judged=seq, waiting=0, seen=seen)


def resent(service: Ingest, message: Message) -> list[Reading]:
    assert not list(service.handle(message))
    return [message for message in service.end_batch() if isinstance(message, Reading)]


def test_accepted_readings_survive_a_restart_and_seq_continues(tmp_path: Path) -> None:
    before = accept(ingest(spool(tmp_path)), 0, 5_000_000, 1)
    assert [reading.clock for reading in before] == ["ok", "doubted", "ok"]
    own_spool = spool(tmp_path)
    assert list(own_spool.read_range(0, 9)) == before
    (after,) = accept(ingest(own_spool), 3)
    assert (after.boot_id, after.seq) == (before[0].boot_id, 3)


def test_lost_spool_starts_a_new_one(tmp_path: Path) -> None:
    first, second = spool(tmp_path / "a"), spool(tmp_path / "b")
    assert first.boot_id != second.boot_id


@pytest.mark.parametrize(
    "truncated_line", [b"3,001,2026-11-23T23:0", b"\0" * 40, b"3,001,x,1,1,file,00000000\n", b"\xff\xfe\n"]
)
def test_truncated_end_is_cut_off(tmp_path: Path, truncated_line: bytes) -> None:
    before = accept(ingest(spool(tmp_path)), 0, 1, 2)
    (segment,) = tmp_path.glob("*.log")
    with segment.open("ab") as file:
        file.write(truncated_line)
    own_spool = spool(tmp_path)
    after = accept(ingest(own_spool), 3)
    assert list(spool(tmp_path).read_range(0, 9)) == [*before, *after]


DAMAGES = {
    "flow rate": (b",5.1,", b",5.3,", [5]),
    "seq": (b"\n5,", b"\n9,", [5]),
    "text": (b"\n5,001,", b"\n5,00\xb1,", [5]),
    "a line end within": (b"\n5,001,", b"\n5,0\n1,", [5]),
    "the line end": (b"\n6,", b"K6,", [5]),
    "position mark": (b"=\n", b"<\n", []),
}
"""What is damaged to the old and new bytes, and the readings that are lost."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_loses_that_line_only(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    own_spool = spool(tmp_path)
    before = accept(ingest(own_spool), *range(8))
    own_spool.on_position_committed()
    before += accept(ingest(own_spool), 8)
    (segment,) = tmp_path.glob("*.log")
    old, new, lost = DAMAGES[damage]
    text = segment.read_bytes()
    assert old in text
    segment.write_bytes(text.replace(old, new, 1))
    again = spool(tmp_path)
    after = accept(ingest(again), 9)
    assert [reading.seq for reading in after] == [9]
    expected = [reading for reading in before + after if reading.seq not in lost]
    assert list(again.read_range(0, 99)) == list(spool(tmp_path).read_range(0, 99)) == expected
    assert latest_seq(tmp_path) == (own_spool.boot_id, 9)
    (notice, _) = [record.__dict__["fields"] for record in caplog.records if record.msg == "spool_line_damaged"]
    assert notice == {"file": segment.name, "line": 6 if lost else 9, "readings": len(lost)}


def test_seq_of_a_damaged_last_line_is_not_used_again(tmp_path: Path) -> None:
    before = accept(ingest(spool(tmp_path)), *range(4))
    (segment,) = tmp_path.glob("*.log")
    segment.write_bytes(segment.read_bytes().replace(b"\n3,001", b"\n3,O01"))
    own_spool = spool(tmp_path)
    after = accept(ingest(own_spool), 4)
    assert [reading.seq for reading in after] == [4]
    assert list(own_spool.read_range(0, 99)) == before[:3] + after


def test_redelivered_measurements_after_a_restart_are_duplicates(tmp_path: Path) -> None:
    own_spool = spool(tmp_path)
    accept(ingest(own_spool), 0, 1)
    own_spool.on_position_committed()
    accept(ingest(own_spool), 2, 3)
    again = ingest(spool(tmp_path))
    assert [reading.at for reading in accept(again, 2, 3, 3, 4)] == [minute_at(4)]


def test_missing_readings_are_retransmitted_but_not_those_in_transit(tmp_path: Path) -> None:
    own_spool = spool(tmp_path)
    service = ingest(own_spool)
    sent = accept(service, *range(20))
    messages = resent(service, stored(own_spool, 9, 13))
    assert [reading.seq for reading in messages] == [10, 11, 12, 13]
    assert [reading.after for reading in messages] == [9, 10, 11, 12]
    assert [reading.at for reading in messages] == [reading.at for reading in sent[10:14]]
    assert not resent(service, stored(own_spool, 9, 15))
    assert not resent(service, stored(own_spool, 19, 19))


def test_slow_database_is_not_flooded(tmp_path: Path) -> None:
    own_spool = spool(tmp_path)
    service = ingest(own_spool)
    accept(service, *range(2 * WINDOW_READINGS))
    assert len(resent(service, stored(own_spool, -1, 2 * WINDOW_READINGS - 1))) == WINDOW_READINGS
    assert not list(service.end_batch())
    assert [
        reading.seq for reading in resent(service, stored(own_spool, WINDOW_READINGS - 1, 2 * WINDOW_READINGS - 1))
    ] == [*range(WINDOW_READINGS, 2 * WINDOW_READINGS)]


def test_lost_retransmission_is_repeated_after_some_minutes(tmp_path: Path) -> None:
    own_spool = spool(tmp_path)
    service = ingest(own_spool)
    accept(service, 0, 1)
    assert len(resent(service, stored(own_spool, -1, 1))) == 2
    messages = [[*service.handle(tick(n)), *service.end_batch()][1:] for n in range(3)]
    assert [len(message) for message in messages] == [0, 0, 2]


def test_restored_database_is_filled_again(tmp_path: Path) -> None:
    own_spool = spool(tmp_path)
    service = ingest(own_spool)
    accept(service, *range(10))
    assert not resent(service, stored(own_spool, 9, 9))
    assert [reading.seq for reading in resent(service, stored(own_spool, 2, 2))] == [*range(3, 10)]
    assert not resent(service, stored(own_spool, 2, 9))


def test_seq_known_only_to_the_database_is_not_reused(tmp_path: Path) -> None:
    own_spool = spool(tmp_path)
    service = ingest(own_spool)
    accept(service, 0, 1)
    resent(service, stored(own_spool, 7, 7))
    assert [reading.seq for reading in accept(service, 8)] == [8]
    messages = resent(ingest(spool(tmp_path)), stored(own_spool, -1, 8))
    assert [(reading.seq, reading.after) for reading in messages] == [(0, -1), (1, 0), (8, 1)]


def test_full_disk_waits_and_leaves_no_partial_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_spool = spool(tmp_path)
    service = ingest(own_spool)
    accept(service, 0)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:9]))
    with pytest.raises(Unavailable):
        accept(service, 1)
    monkeypatch.setattr(os, "write", write)
    assert [reading.seq for reading in accept(service, 1)] == [1]
    assert [reading.seq for reading in spool(tmp_path).read_range(0, 9)] == [0, 1]


def test_stored_segments_expire_by_running_time_and_unstored_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 200)
    own_spool = spool(tmp_path, days=4 / 1440)
    service = ingest(own_spool)
    for minute in range(0, 30, 5):
        accept(service, *range(minute, minute + 5))
        own_spool.on_position_committed()
    assert len(list(own_spool.read_range(0, 99))) == 30
    own_spool.mark_stored(29)
    own_spool.on_position_committed()
    assert [reading.seq for reading in own_spool.read_range(0, 99)] == [*range(15, 30)]
    own_spool = spool(tmp_path, days=4 / 1440)
    own_spool.mark_stored(24)
    for _ in range(9):
        own_spool.on_position_committed()
    assert [reading.seq for reading in own_spool.read_range(0, 99)] == [*range(25, 30)]


@pytest.mark.parametrize("moved", [-56 * 365 * 86_400, 365 * 86_400])
def test_clock_jump_expires_no_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 200)
    own_spool = spool(tmp_path)
    service = ingest(own_spool)
    for minute in range(0, 30, 5):
        accept(service, *range(minute, minute + 5))
        own_spool.on_position_committed()
    for segment in sorted(tmp_path.glob("*.log"))[2:4]:
        os.utime(segment, (segment.stat().st_mtime + moved,) * 2)
    for message in (own_spool, spool(tmp_path)):
        message.mark_stored(29)
        message.on_position_committed()
        assert [reading.seq for reading in message.read_range(0, 99)] == [*range(30)]


def test_oldest_segments_are_dropped_above_the_size_limit_after_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 200)
    own_spool = spool(tmp_path, megabytes=0.002)
    service = ingest(own_spool)
    codes: list[str] = []
    for minute in range(0, 50, 5):
        accept(service, *range(minute, minute + 5))
        own_spool.on_position_committed()
        codes.append(own_spool.problem.code if own_spool.problem else "ok")
    assert list(dict.fromkeys(codes)) == ["ok", "spool_filling", "readings_dropped"]
    assert next(iter(own_spool.read_range(0, 99))).seq > 0
    messages = resent(service, stored(own_spool, 0, 49))
    assert messages[0].after == 0
    assert [reading.seq for reading in messages] == [*range(messages[0].seq, 50)]
