"""Ticks and readings as the run loop gets them, through clock jumps and DST changes."""

from __future__ import annotations

import datetime as datetimes
import errno
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import schedule

from services.ingest.source_poller import MAX_IN_FLIGHT, SourcePoller, TickFile
from services.ingest.sources.line_reader import Measurement
from services.ingest.sources.registry import Source
from services.ingest.sources.simulator import Simulator, SimulatorSource
from services.ingest.tick_clock import TickClock
from shared.contract.messages import Tick
from tests.unit.factories import START, minute_at

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
POLL_SECONDS = 10
"""Between two polls."""


class FakeMachine:
    """A machine with a settable clock; the scheduler reads the same clock in the machine's own zone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, start: datetime, zone: ZoneInfo = SEOUL) -> None:
        self.seconds = start.timestamp()
        machine = self

        class Datetime(datetime):
            @classmethod
            def now(cls, tz: datetimes.tzinfo | None = None) -> Datetime:
                now = datetime.fromtimestamp(machine.seconds, tz or zone)
                return cls.combine(now.date(), now.timetz() if tz else now.time())

        originals = {name: getattr(datetimes, name) for name in ("timedelta", "time", "date")}
        monkeypatch.setattr(schedule, "datetime", SimpleNamespace(datetime=Datetime, **originals))

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, SEOUL)

    def run(self, poller: SourcePoller, minutes: float, every: int = POLL_SECONDS) -> list[Tick | Measurement]:
        """Return what the poller delivers in these minutes."""
        items = []
        for _ in range(round(minutes * 60 / every)):
            self.seconds += every
            for delivery in poller():
                items.append(delivery.message)
                delivery.acknowledge()
        return items


class FakeSource:
    """A source that always has one more measurement."""

    def __init__(self) -> None:
        self.commits = 0

    def poll(self, now: datetime, max_items: int) -> Iterator[Measurement]:  # noqa: ARG002
        if max_items:
            yield Measurement("001", minute_at(0), 1.0, 4.0)

    def commit(self) -> None:
        self.commits += 1


class FakeEmptySource:
    """A source without measurements."""

    def poll(self, now: datetime, max_items: int) -> Iterator[Measurement]:  # noqa: ARG002
        return iter(())

    def commit(self) -> None:
        pass


def make_poller(
    machine: FakeMachine,
    source: Source | None = None,
    tick_clock: TickClock | None = None,
    zone: ZoneInfo = SEOUL,
    in_flight: int = 0,
    on_position_committed: Callable[[], None] = lambda: None,
) -> SourcePoller:
    tick_clock = tick_clock or TickClock(None, lambda _: None)
    return SourcePoller(
        source or FakeEmptySource(), "site1", zone, tick_clock, machine.now, lambda: in_flight, on_position_committed
    )


def ticks(items: list[Tick | Measurement]) -> list[datetime]:
    return [item.at for item in items if isinstance(item, Tick)]


def simulated() -> SimulatorSource:
    return SimulatorSource(Simulator(1, ("001",), 60.0, 4.0, SEOUL))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    return FakeMachine(monkeypatch, START)


def test_each_minute_has_one_tick_after_it_closed(machine: FakeMachine) -> None:
    assert ticks(machine.run(make_poller(machine), 5)) == [minute_at(minute) for minute in range(5)]


def test_position_is_committed_once_a_minute_after_flush_and_acknowledgement(
    machine: FakeMachine,
) -> None:
    meter, placed = FakeSource(), list[int]()
    poller = make_poller(machine, meter, on_position_committed=lambda: placed.append(meter.commits))
    machine.run(poller, 50 / 60)
    assert meter.commits == 0
    machine.seconds += 10
    deliveries = poller()
    assert meter.commits == 0
    for delivery in deliveries:
        delivery.acknowledge()
    assert placed == [1]


def test_backlog_waits_for_consumers_but_live_readings_pass(machine: FakeMachine) -> None:
    poller = make_poller(machine, FakeSource(), in_flight=MAX_IN_FLIGHT)
    assert not machine.run(poller, 50 / 60)
    assert len(machine.run(poller, 1)) == 2
    assert len(machine.run(poller, 1)) == 2


@pytest.mark.parametrize("hours", [-1.05, -9.0, -30.0, 0.5, 9.0, 24 * 365.0, -24 * 365.0 * 56])
def test_clock_step_neither_stops_nor_reverses_ticks(machine: FakeMachine, hours: float) -> None:
    poller = make_poller(machine, simulated())
    before = machine.run(poller, 3)
    machine.seconds += hours * 3600 + 7
    items = ticks([*before, *machine.run(poller, 20)])
    assert len(items) >= 3 + 9
    assert all(earlier < later for earlier, later in pairwise(items))
    assert items[-1] < minute_at(25 + max(0.0, min(hours, 9.0) * 60))


def test_wrong_year_yields_no_simulated_minutes(machine: FakeMachine) -> None:
    poller = make_poller(machine, simulated())
    items = machine.run(poller, 3)
    for moved in (365 * 86_400, -365 * 86_400 + 60, -56 * 365 * 86_400, 56 * 365 * 86_400 + 60):
        machine.seconds += moved
        items += machine.run(poller, 10)
    minutes = [item.at for item in items if isinstance(item, Measurement)]
    assert minutes == sorted(set(minutes))
    assert minutes[0] == minute_at(0)
    assert minutes[-1] == minute_at(44)
    assert len(minutes) == 45


def test_simulator_after_a_confirmed_clock_jump_skips_the_years(machine: FakeMachine) -> None:
    machine.seconds = 5e4
    poller = make_poller(machine, simulated())
    machine.run(poller, 3)
    machine.seconds = START.timestamp()
    items = [item.at for item in machine.run(poller, 5) if isinstance(item, Measurement)]
    assert items == [minute_at(minute) for minute in range(5)]


def test_ticks_continue_after_a_restart_on_a_wrong_clock(machine: FakeMachine, tmp_path: Path) -> None:
    newest = TickFile(tmp_path / "tick")
    before = ticks(machine.run(make_poller(machine, tick_clock=TickClock(newest.read(), newest.save)), 3))
    machine.seconds = 1e6
    newest = TickFile(tmp_path / "tick")
    poller = make_poller(machine, tick_clock=TickClock(newest.read(), newest.save))
    assert [*before, *ticks(machine.run(poller, 3))] == [minute_at(minute) for minute in range(6)]


def test_damaged_or_missing_tick_file_starts_anew(tmp_path: Path) -> None:
    assert TickFile(tmp_path / "spool/tick").read() is None
    (tmp_path / "tick").write_bytes(b"\xff2026-11-24")
    newest = TickFile(tmp_path / "tick")
    assert newest.read() is None
    newest.save(29_000_000)
    assert TickFile(tmp_path / "tick").read() == 29_000_000


@pytest.mark.parametrize("summer_ends", [True, False])
@pytest.mark.parametrize("own_zone", [BERLIN, SEOUL])
def test_dst_change_is_no_clock_jump(monkeypatch: pytest.MonkeyPatch, summer_ends: bool, own_zone: ZoneInfo) -> None:
    begin = datetime.fromisoformat("2026-10-25T00:30Z" if summer_ends else "2026-03-29T00:30Z")
    machine = FakeMachine(monkeypatch, begin, own_zone)
    poller = make_poller(machine, zone=BERLIN)
    items = ticks(machine.run(poller, 120, every=60))
    assert items == [begin + timedelta(minutes=minute) for minute in range(120)]
    offsets = [moment.utcoffset() for moment in items]
    assert offsets == [timedelta(hours=2 if summer_ends else 1)] * 30 + [timedelta(hours=1 if summer_ends else 2)] * 90
    assert f"{items[30]:%H:%M}" == ("02:00" if summer_ends else "03:00")


def test_position_that_a_full_disk_rejected_is_committed_a_minute_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    meter, placed = FakeSource(), list[int]()

    def full_at_first() -> None:
        placed.append(meter.commits)
        if len(placed) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    machine = FakeMachine(monkeypatch, START)
    machine.run(make_poller(machine, meter, on_position_committed=full_at_first), 2)
    assert placed == [1, 2]
    assert "position_commit_failed" in caplog.text
