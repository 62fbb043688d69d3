"""A batch is stored before it is acknowledged, and one bad message does not hold up the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.db_writer.service import DbWriter
from shared.contract.messages import (
    HistoryAnswer,
    HistoryBatch,
    Message,
    Progress,
    Reading,
    Rejected,
    Stored,
    Verdict,
)
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.domain.high_water_mark import HighWaterMark, SiteMark
from shared.domain.series import DAY
from tests.unit.factories import START, minute_at, reading, tick, verdict

T0 = int(START.timestamp())


class FakeStore:
    """A store in memory that can refuse minute 3, or everything."""

    def __init__(self) -> None:
        self.stored: list[Message] = []
        self.marks: dict[str, HighWaterMark] = {}
        self.retention_calls: list[tuple[int, int]] = []
        self.locked = self.picky = False
        self.repairs = 0
        self.retired: list[str] = []
        self.renamed: list[tuple[str, str]] = []

    def write(self, messages: Sequence[Message], marks: Sequence[SiteMark] = ()) -> None:
        if self.locked:
            raise Unavailable(problem("database_locked"))
        if self.picky and any(is_of_minute_three(message) for message in messages):
            raise ValueError("minute three")
        self.stored.extend(messages)
        self.marks.update((site, HighWaterMark(*mark)) for site, mark in marks)

    def high_water_mark(self, site: str) -> HighWaterMark | None:
        return self.marks.get(site)

    def insert_missing(self, verdicts: Sequence[Verdict]) -> int:
        return len(verdicts)

    def repair(self) -> None:
        self.repairs += 1

    def newest_reading(self, site: str, sensor: str) -> int | None:
        times = [item.at for item in self.stored if isinstance(item, Reading) and item.sensor == sensor]
        return int(max(times).timestamp()) if times and site == "site1" else None

    def count_shared_minutes(self, site: str, old: str, new: str) -> int:  # noqa: ARG002
        return 0

    def retire(self, site: str, sensor: str) -> None:  # noqa: ARG002
        self.retired.append(sensor)

    def rename(self, site: str, old: str, new: str) -> None:  # noqa: ARG002
        self.renamed.append((old, new))

    def apply_retention(self, now: int, keep: int) -> int:
        self.retention_calls.append((now, keep))
        return 0


def is_of_minute_three(message: Message) -> bool:
    at = message.minutes[0][0] if isinstance(message, HistoryBatch) else getattr(message, "at", None)
    return at == minute_at(3)


def db_writer(store: FakeStore) -> DbWriter:
    return DbWriter(store, "site1", 365, lambda seconds: minute_at((seconds - T0) / 60))


def handle_batch(service: DbWriter, *messages: Message) -> list[Message]:
    for message in messages:
        assert not list(service.handle(message))
    return list(service.end_batch())


def test_stored_reports_readings_and_verdicts() -> None:
    store = FakeStore()
    service = db_writer(store)
    assert handle_batch(service, reading(0), reading(1)) == [
        Stored(site="site1", boot_id="boot", seq=1, at=minute_at(1), judged=-1, waiting=0, seen=1)
    ]
    assert handle_batch(service, verdict(0)) == [
        Stored(site="site1", boot_id="boot", seq=1, at=minute_at(1), judged=0, waiting=0, seen=1)
    ]
    assert list(db_writer(store).start()) == [
        Stored(site="site1", boot_id="boot", seq=1, at=minute_at(1), judged=1, waiting=0, seen=1)
    ]


def test_high_water_mark_stops_at_a_missing_reading() -> None:
    service = db_writer(FakeStore())
    assert handle_batch(service, reading(0), reading(2)) == [
        Stored(site="site1", boot_id="boot", seq=0, at=minute_at(0), judged=-1, waiting=0, seen=2)
    ]
    assert handle_batch(service, reading(3)) == [
        Stored(site="site1", boot_id="boot", seq=0, at=minute_at(0), judged=-1, waiting=0, seen=3)
    ]
    assert handle_batch(service, reading(1)) == [
        Stored(site="site1", boot_id="boot", seq=3, at=minute_at(3), judged=-1, waiting=0, seen=3)
    ]


def test_tick_reveals_readings_that_the_broker_lost() -> None:
    service = db_writer(FakeStore())
    assert handle_batch(service, replace(tick(2), boot_id="boot", seq=2)) == [
        Stored(site="site1", boot_id="boot", seq=-1, at=minute_at(2), judged=-1, waiting=0, seen=2)
    ]
    messages = handle_batch(service, *(reading(minute) for minute in range(3)))
    assert messages == [Stored(site="site1", boot_id="boot", seq=2, at=minute_at(2), judged=-1, waiting=0, seen=2)]
    assert not handle_batch(service, replace(tick(3), boot_id="boot", seq=2))


def test_high_water_mark_passes_readings_that_ingest_lost() -> None:
    service = db_writer(FakeStore())
    handle_batch(service, reading(0), reading(7))
    messages = handle_batch(service, replace(reading(5), after=0), replace(reading(6), after=5))
    assert messages == [Stored(site="site1", boot_id="boot", seq=7, at=minute_at(7), judged=-1, waiting=0, seen=7)]


def test_new_spool_resets_the_high_water_mark() -> None:
    service = db_writer(FakeStore())
    handle_batch(service, reading(0), reading(1))
    messages = handle_batch(service, replace(reading(2), boot_id="next", seq=0))
    assert messages == [Stored(site="site1", boot_id="next", seq=0, at=minute_at(2), judged=-1, waiting=0, seen=0)]


def test_locked_database_keeps_the_batch() -> None:
    store = FakeStore()
    service = db_writer(store)
    store.locked = True
    with pytest.raises(Unavailable):
        handle_batch(service, reading(0))
    store.locked = False
    assert handle_batch(service) == [
        Stored(site="site1", boot_id="boot", seq=0, at=minute_at(0), judged=-1, waiting=0, seen=0)
    ]
    assert store.stored == [reading(0)]


def test_bad_message_is_rejected_and_the_others_are_stored() -> None:
    store = FakeStore()
    store.picky = True
    messages = handle_batch(db_writer(store), *(reading(minute) for minute in range(5)))
    assert [message.reason.en for message in messages if isinstance(message, Rejected)] == [
        "ValueError('minute three')"
    ]
    assert [message for message in store.stored if isinstance(message, Reading)] == [reading(m) for m in (0, 1, 2, 4)]


def history_part(part: int) -> HistoryBatch:
    minutes = ((minute_at(part), 1.0, None),)
    return HistoryBatch(
        site="site1", sensor="001", source="import", part=part, of=3, minutes=minutes, transfer="transfer"
    )


def test_import_reports_progress_per_batch() -> None:
    messages = handle_batch(db_writer(FakeStore()), history_part(1), history_part(2))
    assert [(message.step, message.of) for message in messages if isinstance(message, Progress)] == [(1, 3), (2, 3)]


def answers(messages: Sequence[Message]) -> list[tuple[int, bool, str]]:
    return [
        (message.part, message.stored, message.reason.en) for message in messages if isinstance(message, HistoryAnswer)
    ]


def test_each_part_of_a_history_is_answered_once_it_is_stored() -> None:
    store = FakeStore()
    service = db_writer(store)
    store.locked = True
    with pytest.raises(Unavailable):
        handle_batch(service, history_part(1))
    store.locked = False
    assert answers(handle_batch(service, history_part(2))) == [(1, True, ""), (2, True, "")]
    assert answers(handle_batch(service, replace(history_part(3), transfer=""))) == []


def test_a_part_that_cannot_be_stored_is_answered_with_the_reason() -> None:
    store = FakeStore()
    store.picky = True
    messages = handle_batch(db_writer(store), history_part(2), history_part(3))
    assert answers(messages) == [(2, True, ""), (3, False, "ValueError('minute three')")]
    assert [message.step for message in messages if isinstance(message, Progress)] == [2]


def test_retention_is_applied_each_full_hour() -> None:
    store = FakeStore()
    handle_batch(db_writer(store), tick(0), reading(0))
    handle_batch(db_writer(store), tick(1), reading(1))
    assert store.retention_calls == [(T0, 365 * DAY)]
