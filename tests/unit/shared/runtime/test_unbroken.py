"""Readings reach a service in order and whole, though the broker lost some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import ClassVar

import pytest

from shared.contract.messages import Message, Reading, Tick
from shared.runtime.service import Unavailable
from shared.runtime.unbroken import LOOK, LOOK_BACK, PATIENCE, QUIET, TRIES, Unbroken
from tests.unit.factories import reading, tick


class Service:
    """Remembers the numbers of its readings, and how often it was started."""

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

    def settle(self) -> Iterator[Message]:
        return iter(())


class Kept:
    """Stored history that a test writes by hand."""

    def __init__(self, whole: bool = True) -> None:
        self.stored: tuple[str, int] | None = ("boot", 4)
        self._whole = whole

    def snapshot(self) -> AbstractContextManager[None]:
        return nullcontext()

    def mark(self) -> tuple[str, int] | None:
        return self.stored

    def whole(self) -> bool:
        return self._whole


class Site:
    def __init__(self) -> None:
        self.kept, self.debt, self.connections = Kept(), "", 1
        self.service = Service()
        self.unbroken = Unbroken(self.service, self.kept, lambda: self.debt, lambda: self.connections)
        assert not list(self.unbroken.start())

    def work(self, batches: int) -> int:
        for _ in range(batches):
            assert not list(self.unbroken.settle())
        return self.service.starts

    def hear(self, *messages: Message) -> list[int]:
        for message in messages:
            assert not list(self.unbroken.handle(message))
        return self.service.numbers


def test_readings_behind_a_gap_wait_for_what_is_sent_again() -> None:
    site = Site()
    assert site.hear(reading(5), reading(8), reading(9)) == [5]
    assert site.hear(reading(6), reading(7)) == [5, 6, 7, 8, 9]
    assert site.hear(reading(6), reading(10)) == [5, 6, 7, 8, 9, 10]


def test_what_ingest_no_longer_has_is_not_waited_for() -> None:
    assert Site().hear(reading(9), replace(reading(7), after=4), replace(reading(8), after=7)) == [7, 8, 9]


def test_what_was_stored_in_the_meantime_comes_from_history() -> None:
    site = Site()
    site.hear(reading(8))
    site.work(LOOK)
    assert (site.service.starts, site.service.numbers) == (1, [])
    site.kept.stored = ("boot", 7)
    site.work(LOOK)
    assert (site.service.starts, site.service.numbers) == (2, [8])


def test_no_tick_overtakes_the_readings_that_wait() -> None:
    site = Site()
    assert site.hear(reading(5), reading(7), tick(7)) == [5]
    assert site.service.ticks == 0
    site.hear(reading(6), tick(8))
    assert (site.service.numbers, site.service.ticks) == ([5, 6, 7], 1)


def test_it_goes_on_at_last() -> None:
    assert Site().hear(reading(8), *(tick(minute) for minute in range(PATIENCE + 1)), reading(9)) == [8, 9]


def test_a_new_spool_begins_anew() -> None:
    site = Site()
    assert site.hear(reading(8), replace(reading(3), boot_id="next"), replace(reading(4), boot_id="next")) == [8, 3, 4]


def test_a_debt_that_lasts_is_made_up_for() -> None:
    site = Site()
    site.debt = "001 10:00"
    site.hear(*(tick(minute) for minute in range(LOOK_BACK)))
    assert site.service.starts == 1
    site.hear(*(tick(minute) for minute in range(LOOK_BACK)))
    assert site.service.starts == 2


def test_a_start_waits_a_while_for_what_is_missing_in_history() -> None:
    service = Service()
    kept = Unbroken(service, Kept(whole=False), lambda: "", lambda: 1)
    for _ in range(TRIES):
        with pytest.raises(Unavailable):
            list(kept.start())
    list(kept.start())
    assert service.starts == 1


def test_behind_a_new_connection_it_looks_soon_for_what_the_broker_forgot() -> None:
    site = Site()
    assert site.work(3 * QUIET) == 1
    site.connections, site.debt = 2, "001 10:00"
    assert site.work(2 * QUIET - 1) == 1
    assert site.work(1) == 2
    assert site.work(3 * QUIET) == 2


def test_what_is_only_on_its_way_is_no_debt() -> None:
    site = Site()
    for site.debt in ("001 10:00", "001 10:01", "001 10:02"):
        site.hear(*(tick(minute) for minute in range(LOOK_BACK)))
    assert site.service.starts == 1
