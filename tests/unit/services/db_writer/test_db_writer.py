"""A batch is stored before it is acknowledged, and one bad message doesn't hold up the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.db_writer.sequence_tracker import HighWaterMark
from services.db_writer.service import DbWriter
from shared.contract.messages import HistoryBatch, Message, Progress, Reading, Rejected, Stored, Verdict
from shared.contract.service import Unavailable
from shared.domain.series import DAY
from tests.unit.factories import START, minute_at, reading, tick, verdict

T0 = int(START.timestamp())


class FakeStore:
    """A store in memory that refuses minute 3 when told to, or everything."""

    def __init__(self) -> None:
        self.stored: list[Message] = []
        self.marks: dict[str, HighWaterMark] = {}
        self.retention_calls: list[tuple[int, int]] = []
        self.locked = self.picky = False
        self.repairs = 0

    def write(self, messages: Sequence[Message], marks: Sequence[tuple[str, HighWaterMark]] = ()) -> None:
        if self.locked:
            raise Unavailable("the database is locked by another program")
        if self.picky and any(isinstance(message, Reading) and message.at == minute_at(3) for message in messages):
            raise ValueError("minute three")
        self.stored.extend(messages)
        self.marks.update(marks)

    def high_water_mark(self, site: str) -> HighWaterMark | None:
        return self.marks.get(site)

    def insert_missing(self, verdicts: Sequence[Verdict]) -> int:
        return len(verdicts)

    def repair(self) -> None:
        self.repairs += 1

    def apply_retention(self, now: int, keep: int) -> int:
        self.retention_calls.append((now, keep))
        return 0


def db_writer(store: FakeStore) -> DbWriter:
    return DbWriter(store, "site1", 365, lambda seconds: minute_at((seconds - T0) / 60))


def handle_batch(service: DbWriter, *messages: Message) -> list[Message]:
    for message in messages:
        assert not list(service.handle(message))
    return list(service.end_batch())


def test_tells_how_far_readings_and_verdicts_are_stored() -> None:
    shelf = FakeStore()
    service = db_writer(shelf)
    assert handle_batch(service, reading(0), reading(1)) == [Stored("site1", "boot", 1, minute_at(1), -1, 0, 1)]
    assert handle_batch(service, verdict(0)) == [Stored("site1", "boot", 1, minute_at(1), 0, 0, 1)]
    assert list(db_writer(shelf).start()) == [Stored("site1", "boot", 1, minute_at(1), 1, 0, 1)]


def test_the_mark_waits_where_a_reading_is_missing() -> None:
    service = db_writer(FakeStore())
    assert handle_batch(service, reading(0), reading(2)) == [Stored("site1", "boot", 0, minute_at(0), -1, 0, 2)]
    assert handle_batch(service, reading(3)) == [Stored("site1", "boot", 0, minute_at(0), -1, 0, 3)]
    assert handle_batch(service, reading(1)) == [Stored("site1", "boot", 3, minute_at(3), -1, 0, 3)]


def test_a_tick_tells_of_readings_that_were_lost_with_the_broker() -> None:
    service = db_writer(FakeStore())
    assert handle_batch(service, replace(tick(2), boot_id="boot", seq=2)) == [
        Stored("site1", "boot", -1, minute_at(2), -1, 0, 2)
    ]
    found = handle_batch(service, *(reading(minute) for minute in range(3)))
    assert found == [Stored("site1", "boot", 2, minute_at(2), -1, 0, 2)]
    assert not handle_batch(service, replace(tick(3), boot_id="boot", seq=2))


def test_the_mark_passes_what_ingest_has_no_longer() -> None:
    service = db_writer(FakeStore())
    handle_batch(service, reading(0), reading(7))
    found = handle_batch(service, replace(reading(5), after=0), replace(reading(6), after=5))
    assert found == [Stored("site1", "boot", 7, minute_at(7), -1, 0, 7)]


def test_a_new_run_of_ingest_begins_anew() -> None:
    service = db_writer(FakeStore())
    handle_batch(service, reading(0), reading(1))
    found = handle_batch(service, replace(reading(2), boot_id="next", seq=0))
    assert found == [Stored("site1", "next", 0, minute_at(2), -1, 0, 0)]


def test_a_locked_database_keeps_the_batch_for_the_next_try() -> None:
    shelf = FakeStore()
    service = db_writer(shelf)
    shelf.locked = True
    with pytest.raises(Unavailable):
        handle_batch(service, reading(0))
    shelf.locked = False
    assert handle_batch(service) == [Stored("site1", "boot", 0, minute_at(0), -1, 0, 0)]
    assert shelf.stored == [reading(0)]


def test_one_bad_message_is_rejected_and_the_others_are_stored() -> None:
    shelf = FakeStore()
    shelf.picky = True
    found = handle_batch(db_writer(shelf), *(reading(minute) for minute in range(5)))
    assert [message.reason for message in found if isinstance(message, Rejected)] == ["ValueError('minute three')"]
    assert [message for message in shelf.stored if isinstance(message, Reading)] == [reading(m) for m in (0, 1, 2, 4)]


def test_an_import_tells_its_progress_when_a_part_is_stored() -> None:
    parts = [HistoryBatch("site1", "001", "import", part, 2, ((minute_at(part), 1.0, None),)) for part in (1, 2)]
    found = handle_batch(db_writer(FakeStore()), *parts)
    assert [(message.step, message.of) for message in found if isinstance(message, Progress)] == [(1, 2), (2, 2)]


def test_old_minutes_are_forgotten_each_full_hour() -> None:
    shelf = FakeStore()
    handle_batch(db_writer(shelf), tick(0), reading(0))
    handle_batch(db_writer(shelf), tick(1), reading(1))
    assert shelf.retention_calls == [(T0, 365 * DAY)]
