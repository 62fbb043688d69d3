"""Readings reach a service in order and without gaps, even if the broker lost some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import ClassVar

import pytest

from shared.contract.messages import Message, Reading, Tick
from shared.contract.service import Unavailable
from shared.runtime.gap_recovery import (
    BACKFILL_EVERY_TICKS,
    CHECK_EVERY_BATCHES,
    GAP_TIMEOUT_TICKS,
    MAX_START_RETRIES,
    SETTLE_BATCHES,
    GapRecovery,
)
from tests.unit.factories import reading, tick


class FakeService:
    """Remembers the seq of its readings and the number of its starts."""

    name: ClassVar[str] = "service"
    consumes: ClassVar[tuple[type[Message], ...]] = (Reading, Tick)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.ticks = 0
        self.starts = 0

    def start(self) -> Iterator[Message]:
        self.starts += 1
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Reading):
            self.numbers.append(message.seq)
        elif isinstance(message, Tick):
            self.ticks += 1
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        return iter(())


class FakeHistory:
    """Hand-written stored history."""

    def __init__(self, whole: bool = True) -> None:
        self.stored: tuple[str, int] | None = ("boot", 4)
        self._whole = whole

    def snapshot(self) -> AbstractContextManager[None]:
        return nullcontext()

    def stored_mark(self) -> tuple[str, int] | None:
        return self.stored

    def is_gapless(self) -> bool:
        return self._whole


class Site:
    def __init__(self) -> None:
        self.history, self.missing, self.connections = FakeHistory(), "", 1
        self.service = FakeService()
        self.recovery = GapRecovery(self.service, self.history, lambda: self.missing, lambda: self.connections)
        assert not list(self.recovery.start())

    def run_batches(self, batches: int) -> int:
        for _ in range(batches):
            assert not list(self.recovery.end_batch())
        return self.service.starts

    def receive(self, *messages: Message) -> list[int]:
        for message in messages:
            assert not list(self.recovery.handle(message))
        return self.service.numbers


def test_readings_behind_a_gap_wait_for_retransmission() -> None:
    site = Site()
    assert site.receive(reading(5), reading(8), reading(9)) == [5]
    assert site.receive(reading(6), reading(7)) == [5, 6, 7, 8, 9]
    assert site.receive(reading(6), reading(10)) == [5, 6, 7, 8, 9, 10]


def test_readings_that_ingest_lost_are_not_waited_for() -> None:
    assert Site().receive(reading(9), replace(reading(7), after=4), replace(reading(8), after=7)) == [7, 8, 9]


def test_missing_readings_that_were_stored_come_from_history() -> None:
    site = Site()
    site.receive(reading(8))
    site.run_batches(CHECK_EVERY_BATCHES)
    assert (site.service.starts, site.service.numbers) == (1, [])
    site.history.stored = ("boot", 7)
    site.run_batches(CHECK_EVERY_BATCHES)
    assert (site.service.starts, site.service.numbers) == (2, [8])


def test_no_tick_overtakes_held_readings() -> None:
    site = Site()
    assert site.receive(reading(5), reading(7), tick(7)) == [5]
    assert site.service.ticks == 0
    site.receive(reading(6), tick(8))
    assert (site.service.numbers, site.service.ticks) == ([5, 6, 7], 1)


def test_service_continues_after_the_timeout() -> None:
    assert Site().receive(reading(8), *(tick(minute) for minute in range(GAP_TIMEOUT_TICKS + 1)), reading(9)) == [8, 9]


def test_new_spool_restarts_the_sequence() -> None:
    site = Site()
    assert site.receive(reading(8), replace(reading(3), boot_id="next"), replace(reading(4), boot_id="next")) == [
        8,
        3,
        4,
    ]


def test_persistent_missing_output_is_backfilled() -> None:
    site = Site()
    site.missing = "001 10:00"
    site.receive(*(tick(minute) for minute in range(BACKFILL_EVERY_TICKS)))
    assert site.service.starts == 1
    site.receive(*(tick(minute) for minute in range(BACKFILL_EVERY_TICKS)))
    assert site.service.starts == 2


def test_start_waits_a_while_for_missing_history() -> None:
    service = FakeService()
    recovery = GapRecovery(service, FakeHistory(whole=False), lambda: "", lambda: 1)
    for _ in range(MAX_START_RETRIES):
        with pytest.raises(Unavailable):
            list(recovery.start())
    list(recovery.start())
    assert service.starts == 1


def test_new_connection_triggers_an_early_check_for_lost_output() -> None:
    site = Site()
    assert site.run_batches(3 * SETTLE_BATCHES) == 1
    site.connections, site.missing = 2, "001 10:00"
    assert site.run_batches(2 * SETTLE_BATCHES - 1) == 1
    assert site.run_batches(1) == 2
    assert site.run_batches(3 * SETTLE_BATCHES) == 2


def test_output_in_transit_is_not_missing() -> None:
    site = Site()
    for site.missing in ("001 10:00", "001 10:01", "001 10:02"):
        site.receive(*(tick(minute) for minute in range(BACKFILL_EVERY_TICKS)))
    assert site.service.starts == 1
