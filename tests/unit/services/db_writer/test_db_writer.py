"""A batch is stored before it is acknowledged, and one bad message doesn't hold up the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.db_writer.arrivals import Mark
from services.db_writer.service import DbWriter
from shared.contract.messages import HistoryBatch, Message, Progress, Reading, Rejected, Stored, Verdict
from shared.domain.series import DAY
from shared.runtime.service import Unavailable
from tests.unit.factories import START, minute_at, reading, tick, verdict

T0 = int(START.timestamp())


class Shelf:
    """A store in memory that refuses minute 3 when told to, or everything."""

    def __init__(self) -> None:
        self.kept: list[Message] = []
        self.marks: dict[str, Mark] = {}
        self.forgotten: list[tuple[int, int]] = []
        self.locked = self.picky = False
        self.mended = 0

    def write(self, messages: Sequence[Message], marks: Sequence[tuple[str, Mark]] = ()) -> None:
        if self.locked:
            raise Unavailable("the database is locked by another program")
        if self.picky and any(isinstance(message, Reading) and message.at == minute_at(3) for message in messages):
            raise ValueError("minute three")
        self.kept.extend(messages)
        self.marks.update(marks)

    def mark(self, site: str) -> Mark | None:
        return self.marks.get(site)

    def fill(self, verdicts: Sequence[Verdict]) -> int:
        return len(verdicts)

    def mend(self) -> None:
        self.mended += 1

    def forget_minutes(self, now: int, keep: int) -> int:
        self.forgotten.append((now, keep))
        return 0


def db_writer(shelf: Shelf) -> DbWriter:
    return DbWriter(shelf, "site1", 365, lambda seconds: minute_at((seconds - T0) / 60))


def settled(service: DbWriter, *messages: Message) -> list[Message]:
    for message in messages:
        assert not list(service.handle(message))
    return list(service.settle())


def test_tells_how_far_readings_and_verdicts_are_stored() -> None:
    shelf = Shelf()
    service = db_writer(shelf)
    assert settled(service, reading(0), reading(1)) == [Stored("site1", "boot", 1, minute_at(1), -1, 0, 1)]
    assert settled(service, verdict(0)) == [Stored("site1", "boot", 1, minute_at(1), 0, 0, 1)]
    assert list(db_writer(shelf).start()) == [Stored("site1", "boot", 1, minute_at(1), 1, 0, 1)]


def test_the_mark_waits_where_a_reading_is_missing() -> None:
    service = db_writer(Shelf())
    assert settled(service, reading(0), reading(2)) == [Stored("site1", "boot", 0, minute_at(0), -1, 0, 2)]
    assert settled(service, reading(3)) == [Stored("site1", "boot", 0, minute_at(0), -1, 0, 3)]
    assert settled(service, reading(1)) == [Stored("site1", "boot", 3, minute_at(3), -1, 0, 3)]


def test_a_tick_tells_of_readings_that_were_lost_with_the_broker() -> None:
    service = db_writer(Shelf())
    assert settled(service, replace(tick(2), boot_id="boot", seq=2)) == [
        Stored("site1", "boot", -1, minute_at(2), -1, 0, 2)
    ]
    found = settled(service, *(reading(minute) for minute in range(3)))
    assert found == [Stored("site1", "boot", 2, minute_at(2), -1, 0, 2)]
    assert not settled(service, replace(tick(3), boot_id="boot", seq=2))


def test_the_mark_passes_what_ingest_has_no_longer() -> None:
    service = db_writer(Shelf())
    settled(service, reading(0), reading(7))
    found = settled(service, replace(reading(5), after=0), replace(reading(6), after=5))
    assert found == [Stored("site1", "boot", 7, minute_at(7), -1, 0, 7)]


def test_a_new_run_of_ingest_begins_anew() -> None:
    service = db_writer(Shelf())
    settled(service, reading(0), reading(1))
    found = settled(service, replace(reading(2), boot_id="next", seq=0))
    assert found == [Stored("site1", "next", 0, minute_at(2), -1, 0, 0)]


def test_a_locked_database_keeps_the_batch_for_the_next_try() -> None:
    shelf = Shelf()
    service = db_writer(shelf)
    shelf.locked = True
    with pytest.raises(Unavailable):
        settled(service, reading(0))
    shelf.locked = False
    assert settled(service) == [Stored("site1", "boot", 0, minute_at(0), -1, 0, 0)]
    assert shelf.kept == [reading(0)]


def test_one_bad_message_is_rejected_and_the_others_are_stored() -> None:
    shelf = Shelf()
    shelf.picky = True
    found = settled(db_writer(shelf), *(reading(minute) for minute in range(5)))
    assert [message.reason for message in found if isinstance(message, Rejected)] == ["ValueError('minute three')"]
    assert [message for message in shelf.kept if isinstance(message, Reading)] == [reading(m) for m in (0, 1, 2, 4)]


def test_an_import_tells_its_progress_when_a_part_is_stored() -> None:
    parts = [HistoryBatch("site1", "001", "import", part, 2, ((minute_at(part), 1.0, None),)) for part in (1, 2)]
    found = settled(db_writer(Shelf()), *parts)
    assert [(message.step, message.of) for message in found if isinstance(message, Progress)] == [(1, 2), (2, 2)]


def test_old_minutes_are_forgotten_each_full_hour() -> None:
    shelf = Shelf()
    settled(db_writer(shelf), tick(0), reading(0))
    settled(db_writer(shelf), tick(1), reading(1))
    assert shelf.forgotten == [(T0, 365 * DAY)]
