"""The spool through restarts, power cuts, full disks and years; and what is sent again from it."""

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
from shared.contract.messages import Message, Reading, Stored
from shared.contract.service import Unavailable
from shared.runtime.sensor_registry import SensorRegistry
from tests.unit.factories import START, minute_at, tick


def spool(folder: Path, days: float = 2, megabytes: float = 10) -> Spool:
    return Spool(folder, "site1", days, megabytes)


def ingest(kept: Spool) -> Ingest:
    return Ingest("site1", kept, "file", SensorRegistry(), lambda _: None, NoInitialHistory())


def measurement(minute: int) -> Measurement:
    return Measurement("001", minute_at(minute), minute + 0.1, None)


def accept(service: Ingest, *minutes: int) -> list[Reading]:
    found = [message for minute in minutes for message in service.handle(measurement(minute))]
    return [message for message in found if isinstance(message, Reading)]


def stored(kept: Spool, seq: int, seen: int) -> Stored:
    return Stored("site1", kept.boot_id, seq, START, seq, 0, seen)


def resent(service: Ingest, message: Message) -> list[Reading]:
    assert not list(service.handle(message))
    return [one for one in service.end_batch() if isinstance(one, Reading)]


def test_what_was_accepted_is_there_after_a_restart_and_the_numbers_go_on(tmp_path: Path) -> None:
    before = accept(ingest(spool(tmp_path)), 0, 1, 2)
    kept = spool(tmp_path)
    assert list(kept.read_range(0, 9)) == before
    (after,) = accept(ingest(kept), 3)
    assert (after.boot_id, after.seq) == (before[0].boot_id, 3)


def test_a_lost_spool_begins_a_new_one(tmp_path: Path) -> None:
    first, second = spool(tmp_path / "a"), spool(tmp_path / "b")
    assert first.boot_id != second.boot_id


@pytest.mark.parametrize("torn", [b"3,001,2026-11-23T23:0", b"\0" * 40, b"3,001,x,1,1,file,00000000\n", b"\xff\xfe\n"])
def test_a_torn_end_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    before = accept(ingest(spool(tmp_path)), 0, 1, 2)
    (segment,) = tmp_path.glob("*.log")
    with segment.open("ab") as file:
        file.write(torn)
    kept = spool(tmp_path)
    after = accept(ingest(kept), 3)
    assert list(spool(tmp_path).read_range(0, 9)) == [*before, *after]


def test_what_the_source_gives_again_after_a_restart_is_not_taken_twice(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    accept(ingest(kept), 0, 1)
    kept.on_position_committed()
    accept(ingest(kept), 2, 3)
    again = ingest(spool(tmp_path))
    assert [reading.at for reading in accept(again, 2, 3, 3, 4)] == [minute_at(3), minute_at(4)]


def test_missing_readings_are_sent_again_and_those_on_their_way_are_not(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    service = ingest(kept)
    sent = accept(service, *range(20))
    found = resent(service, stored(kept, 9, 13))
    assert [reading.seq for reading in found] == [10, 11, 12, 13]
    assert [reading.after for reading in found] == [9, 10, 11, 12]
    assert [reading.at for reading in found] == [reading.at for reading in sent[10:14]]
    assert not resent(service, stored(kept, 9, 15))
    assert not resent(service, stored(kept, 19, 19))


def test_a_slow_database_is_not_flooded(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    service = ingest(kept)
    accept(service, *range(2 * WINDOW_READINGS))
    assert len(resent(service, stored(kept, -1, 2 * WINDOW_READINGS - 1))) == WINDOW_READINGS
    assert not list(service.end_batch())
    assert [reading.seq for reading in resent(service, stored(kept, WINDOW_READINGS - 1, 2 * WINDOW_READINGS - 1))] == [
        *range(WINDOW_READINGS, 2 * WINDOW_READINGS)
    ]


def test_what_was_lost_again_is_sent_once_more_after_some_minutes(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    service = ingest(kept)
    accept(service, 0, 1)
    assert len(resent(service, stored(kept, -1, 1))) == 2
    found = [[*service.handle(tick(n)), *service.end_batch()][1:] for n in range(3)]
    assert [len(one) for one in found] == [0, 0, 2]


def test_a_restored_database_is_filled_again(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    service = ingest(kept)
    accept(service, *range(10))
    assert not resent(service, stored(kept, 9, 9))
    assert [reading.seq for reading in resent(service, stored(kept, 2, 2))] == [*range(3, 10)]
    assert not resent(service, stored(kept, 2, 9))


def test_numbers_that_only_the_database_knows_after_a_power_cut_are_not_given_twice(tmp_path: Path) -> None:
    kept = spool(tmp_path)
    service = ingest(kept)
    accept(service, 0, 1)
    resent(service, stored(kept, 7, 7))
    assert [reading.seq for reading in accept(service, 8)] == [8]
    found = resent(ingest(spool(tmp_path)), stored(kept, -1, 8))
    assert [(reading.seq, reading.after) for reading in found] == [(0, -1), (1, 0), (8, 1)]


def test_a_full_disk_waits_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = spool(tmp_path)
    service = ingest(kept)
    accept(service, 0)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:9]))
    with pytest.raises(Unavailable):
        accept(service, 1)
    monkeypatch.setattr(os, "write", write)
    assert [reading.seq for reading in accept(service, 1)] == [1]
    assert [reading.seq for reading in spool(tmp_path).read_range(0, 9)] == [0, 1]


def test_stored_readings_go_after_some_minutes_of_work_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 200)
    kept = spool(tmp_path, days=4 / 1440)
    service = ingest(kept)
    for minute in range(0, 30, 5):
        accept(service, *range(minute, minute + 5))
        kept.on_position_committed()
    assert len(list(kept.read_range(0, 99))) == 30
    kept.mark_stored(29)
    kept.on_position_committed()
    assert [reading.seq for reading in kept.read_range(0, 99)] == [*range(15, 30)]
    kept = spool(tmp_path, days=4 / 1440)
    kept.mark_stored(24)
    for _ in range(9):
        kept.on_position_committed()
    assert [reading.seq for reading in kept.read_range(0, 99)] == [*range(25, 30)]


@pytest.mark.parametrize("moved", [-56 * 365 * 86_400, 365 * 86_400])
def test_what_is_stored_stays_through_any_leap_of_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 200)
    kept = spool(tmp_path)
    service = ingest(kept)
    for minute in range(0, 30, 5):
        accept(service, *range(minute, minute + 5))
        kept.on_position_committed()
    for segment in sorted(tmp_path.glob("*.log"))[2:4]:
        os.utime(segment, (segment.stat().st_mtime + moved,) * 2)
    for one in (kept, spool(tmp_path)):
        one.mark_stored(29)
        one.on_position_committed()
        assert [reading.seq for reading in one.read_range(0, 99)] == [*range(30)]


def test_beyond_its_size_the_oldest_go_and_the_status_said_so_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 200)
    kept = spool(tmp_path, megabytes=0.002)
    service = ingest(kept)
    notes = []
    for minute in range(0, 50, 5):
        accept(service, *range(minute, minute + 5))
        kept.on_position_committed()
        notes.append(service.warning)
    assert notes[0] == ""
    first = next(note for note in notes if note)
    assert "not stored" in first
    assert "were dropped" in " ".join(notes)
    assert next(iter(kept.read_range(0, 99))).seq > 0
    found = resent(service, stored(kept, 0, 49))
    assert found[0].after == 0
    assert [reading.seq for reading in found] == [*range(found[0].seq, 50)]
