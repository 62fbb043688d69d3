"""What ingest accepts, rejects and sends at its first start."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.ingest import duplicate_limiter
from services.ingest.dead_letters import DeadLetterFiles
from services.ingest.initial_history import NoInitialHistory, SimulatedHistory
from services.ingest.known_minutes import StoredReadings
from services.ingest.service import Ingest
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.sources.simulator import Simulator
from services.ingest.spool import NullSpool
from shared.contract.messages import HistoryAnswer, HistoryBatch, Message, Reading, Rejected, Stored, Tick
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.domain.series import DAY, MINUTE, Series
from shared.runtime.sensor_registry import SensorRegistry
from shared.settings import Settings
from tests.unit.factories import START, minute_at, tick

SITE = Simulator(1, ("001", "002"), 60.0, 4.0, Settings().zone)


def ingest(
    bad: list[BadLine] | None = None, known_sensors: tuple[str, ...] = (), stored: StoredReadings | None = None
) -> Ingest:
    keep = (bad if bad is not None else []).append
    registry, history = SensorRegistry(known_sensors), NoInitialHistory()
    return Ingest("site1", NullSpool("boot"), "file", registry, keep, history, stored=stored)


def handle_all(service: Ingest, *items: Message | Measurement | BadLine) -> list[Message]:
    return [message for item in items for message in service.handle(item)]


def measurement(minute: int, flow_rate: float | None = 1.0, sensor: str = "001") -> Measurement:
    return Measurement(sensor, minute_at(minute), flow_rate, 4.0)


def test_measurement_becomes_a_reading_with_the_next_seq() -> None:
    messages = handle_all(ingest(), measurement(0), measurement(1, None))
    assert messages == [
        Reading(
            site="site1",
            sensor="001",
            at=minute_at(0),
            flow_rate=1.0,
            pressure=4.0,
            boot_id="boot",
            seq=0,
            source="file",
        ),
        Reading(
            site="site1",
            sensor="001",
            at=minute_at(1),
            flow_rate=None,
            pressure=4.0,
            boot_id="boot",
            seq=1,
            source="file",
        ),
    ]


def test_rejected_measurement_takes_no_seq() -> None:
    messages = handle_all(ingest(known_sensors=("001",)), measurement(0, sensor="002"), measurement(0))
    reasons = [message.reason.en for message in messages if isinstance(message, Rejected)]
    assert reasons == ["site.toml has no [sensors.002]"]
    assert [message.seq for message in messages if isinstance(message, Reading)] == [0]


def test_sensors_above_the_limit_are_rejected() -> None:
    service = ingest()
    messages = [handle_all(service, measurement(0, sensor=f"s{number}"))[0] for number in range(65)]
    assert [isinstance(message, Reading) for message in messages] == [True] * 64 + [False]


def test_bad_line_is_saved_and_reported() -> None:
    bad: list[BadLine] = []
    line = BadLine("a.csv", 7, "x,y", technical("2 columns"))
    assert handle_all(ingest(bad), line) == [Rejected("site1", "a.csv:7", technical("2 columns"), "x,y")]
    assert bad == [line]


def test_bad_lines_are_saved_per_source_file(tmp_path: Path) -> None:
    keep = DeadLetterFiles(tmp_path / "rejected")
    keep(BadLine("a.csv", 7, "x,y", technical("2 columns")))
    keep(BadLine("a.csv", 9, "z", technical("1 columns")))
    text = (tmp_path / "rejected/a.csv.rejected.txt").read_text(encoding="utf-8")
    assert text == "7\t2 columns\tx,y\n9\t1 columns\tz\n"


def test_ticks_never_go_backwards() -> None:
    messages = handle_all(ingest(), tick(5), tick(3), tick(5), measurement(6), tick(6))
    ticks = [message for message in messages if isinstance(message, Tick)]
    assert [(message.at, message.boot_id, message.seq) for message in ticks] == [
        (minute_at(5), "boot", -1),
        (minute_at(6), "boot", 0),
    ]


def test_in_flight_counts_readings_without_stored_verdict() -> None:
    service = ingest()
    handle_all(service, *(measurement(minute) for minute in range(10)))
    assert service.in_flight == 10
    handle_all(
        service,
        Stored(site="site1", boot_id="boot", seq=7, at=minute_at(7), judged=5, waiting=0),
        Stored(site="site1", boot_id="another run", seq=9, at=minute_at(9), judged=9, waiting=0),
    )
    assert service.in_flight == 4


def send_all(past: SimulatedHistory) -> list[HistoryBatch]:
    """Return all parts of a history, each answered."""
    sent: list[HistoryBatch] = []
    while due := list(past.next_parts()):
        sent += due
        for part in due:
            past.on_answer(
                HistoryAnswer(site="site1", transfer=part.transfer, part=part.part, stored=True, reason=technical(""))
            )
    return sent


def test_first_start_sends_the_history_of_every_sensor_once(tmp_path: Path) -> None:
    mark = tmp_path / "spool/history.sent"
    past = SimulatedHistory(SITE, "site1", 8, lambda: START + timedelta(seconds=20), mark)
    messages = send_all(past)
    assert [(part.part, part.of) for part in messages] == [
        (number, len(messages)) for number in range(1, len(messages) + 1)
    ]
    for sensor in SITE.sensors:
        minutes = [minute for part in messages if part.sensor == sensor for minute in part.minutes]
        assert [moment for moment, _, _ in minutes] == [
            START - timedelta(minutes=back) for back in range(8 * DAY // MINUTE, 0, -1)
        ]
    assert not list(SimulatedHistory(SITE, "site1", 8, lambda: START, mark).next_parts())


def test_interrupted_first_start_sends_its_history_again(tmp_path: Path) -> None:
    mark = tmp_path / "spool/history.sent"
    list(SimulatedHistory(SITE, "site1", 8, lambda: START, mark).next_parts())
    assert len(send_all(SimulatedHistory(SITE, "site1", 8, lambda: START, mark))) == 6


def test_unanswered_history_is_sent_again_after_two_ticks(tmp_path: Path) -> None:
    history = SimulatedHistory(SITE, "site1", 8, lambda: START, tmp_path / "history.sent")
    service = Ingest("site1", NullSpool("boot"), "file", SensorRegistry(), lambda _: None, history)
    first = list(service.start())
    assert len(first) == 5
    handle_all(service, tick(0))
    assert not list(service.end_batch())
    handle_all(service, tick(1))
    assert list(service.end_batch()) == first


def test_flood_of_second_values_is_rejected_until_the_next_tick() -> None:
    service = ingest()
    second_values = [measurement(0, 2.0 + number) for number in range(duplicate_limiter.MAX_DUPLICATES_PER_TICK + 2)]
    messages = handle_all(service, measurement(0), *second_values, measurement(1))
    assert [type(message) for message in messages] == [Reading] * (duplicate_limiter.MAX_DUPLICATES_PER_TICK + 1) + [
        Rejected
    ] * 2 + [Reading]
    assert "duplicate readings between two ticks" in next(
        message.reason.en for message in messages if isinstance(message, Rejected)
    )
    assert [type(message) for message in handle_all(service, tick(0), measurement(0, 9.0))] == [Tick, Reading]


def test_a_line_that_is_sent_again_is_no_reading() -> None:
    service = ingest()
    lines = [measurement(minute) for minute in range(5)]
    assert len(handle_all(service, *lines)) == 5
    assert handle_all(service, *lines, *reversed(lines)) == []


def test_a_stored_reading_is_not_sent_again() -> None:
    at = np.array([int(minute_at(minute).timestamp()) for minute in range(3)])
    stored = Series(at, np.array([1.0, 1.0, 7.0]), np.array([4.0, np.nan, 4.0]))
    known = ingest(stored=lambda _, start, stop: _between(stored, start, stop))
    readings = handle_all(known, *(measurement(minute) for minute in range(4)))
    assert [(item.at, item.flow_rate, item.pressure, item.completes) for item in readings_of(readings)] == [
        (minute_at(1), None, 4.0, True),
        (minute_at(2), 1.0, 4.0, False),
        (minute_at(3), 1.0, 4.0, False),
    ]


def _between(series: Series, start: int, stop: int) -> Series:
    within = (series.at >= start) & (series.at < stop)
    return Series(series.at[within], series.flow_rate[within], series.pressure[within])


def readings_of(messages: list[Message]) -> list[Reading]:
    return [message for message in messages if isinstance(message, Reading)]


def half(minute: int, flow_rate: float | None, pressure: float | None, second: int = 0) -> Measurement:
    return Measurement("001", minute_at(minute) + timedelta(seconds=second), flow_rate, pressure)


def values(messages: list[Message]) -> list[tuple[datetime, float | None, float | None]]:
    return [(item.at, item.flow_rate, item.pressure) for item in readings_of(messages)]


def test_a_reading_with_both_channels_does_not_wait() -> None:
    service = ingest()
    assert values(handle_all(service, half(0, 1.0, 4.0))) == [(minute_at(0), 1.0, 4.0)]
    assert values(handle_all(service, half(1, 1.0, None))) == [(minute_at(1), 1.0, None)]


def test_a_half_that_comes_later_completes_its_minute_and_is_no_duplicate() -> None:
    messages = readings_of(handle_all(ingest(), half(0, 1.0, None), half(0, None, 4.0)))
    assert [(item.flow_rate, item.pressure, item.completes) for item in messages] == [
        (1.0, None, False),
        (None, 4.0, True),
    ]


def test_once_the_channels_come_apart_both_make_one_reading() -> None:
    service = ingest()
    handle_all(service, half(0, 1.0, None), half(0, None, 4.0))
    assert values(handle_all(service, half(1, 2.0, None))) == []
    assert service.is_holding
    assert values(handle_all(service, half(1, None, 5.0))) == [(minute_at(1), 2.0, 5.0)]
    assert not service.is_holding
    assert values(handle_all(service, half(2, 3.0, 6.0))) == [(minute_at(2), 3.0, 6.0)]


def test_a_half_that_does_not_come_delays_its_minute_by_two_ticks_once() -> None:
    service = ingest()
    handle_all(service, half(0, 1.0, None), half(0, None, 4.0), half(1, 2.0, None))
    assert values(handle_all(service, tick(1), half(2, 3.0, None), tick(2))) == []
    assert values(handle_all(service, tick(3))) == [(minute_at(1), 2.0, None)]
    assert values(handle_all(service, tick(4))) == [(minute_at(2), 3.0, None)]
    assert values(handle_all(service, half(5, 4.0, None))) == [(minute_at(5), 4.0, None)]


@pytest.mark.parametrize("hours", [-9, 9])
def test_a_half_of_a_meter_with_a_wrong_clock_waits_two_ticks(hours: int) -> None:
    service, wrong = ingest(), hours * 60
    handle_all(service, tick(0), half(wrong, 1.0, None), half(wrong, None, 4.0), half(wrong + 1, 2.0, None))
    assert values(handle_all(service, tick(1), tick(2))) == []
    assert values(handle_all(service, tick(3))) == [(minute_at(wrong + 1), 2.0, None)]


def test_two_files_with_a_channel_each_make_one_reading_a_minute() -> None:
    service = ingest()
    handle_all(service, half(0, 0.0, None), half(0, None, 4.0))
    flow = [half(minute, float(minute), None) for minute in range(1, 100)]
    pressure = [half(minute, None, 4.0) for minute in range(1, 100)]
    messages = values(handle_all(service, *flow, *pressure, tick(100)))
    assert messages == [(minute_at(minute), float(minute), 4.0) for minute in range(1, 100)]


def test_stamps_just_before_the_minute_belong_to_it() -> None:
    seconds = (0, 59, 120, 181, 239, 300)
    messages = handle_all(ingest(), *(half(0, 1.0, 4.0, second) for second in seconds))
    assert [item.at for item in readings_of(messages)] == [minute_at(minute) for minute in range(6)]


def test_samples_within_a_minute_are_averaged() -> None:
    service = ingest()
    samples = [half(minute, 10.0 * minute + second / 10, 4.0, second) for minute in range(4) for second in (0, 20, 40)]
    messages = values(handle_all(service, *samples, tick(3)))
    assert messages == [(minute_at(0), 0.0, 4.0)] + [(minute_at(at), 10.0 * at + 2, 4.0) for at in range(1, 4)]


@pytest.mark.parametrize(("ahead", "belated"), [(0, True), (24 * 60, False)])
def test_a_block_after_an_outage_is_belated_unless_the_clock_was_ahead(ahead: int, belated: bool) -> None:
    service = ingest()
    handle_all(service, *(measurement(minute) for minute in range(5)), tick(4))
    handle_all(service, *(measurement(minute + ahead) for minute in range(120, 125)), tick(124))
    late = readings_of(handle_all(service, *(measurement(minute) for minute in range(110, 100, -1))))
    assert [item.belated for item in late] == [belated] * 10
    assert not readings_of(handle_all(service, measurement(126 + ahead)))[0].belated


def test_a_block_after_a_restart_is_belated() -> None:
    at = np.array([int(minute_at(120).timestamp())])
    stored = Series(at, np.array([1.0]), np.array([4.0]))
    service = ingest(stored=lambda _, start, stop: _between(stored, start, stop))
    readings = readings_of(handle_all(service, measurement(50), measurement(121)))
    assert [item.belated for item in readings] == [True, False]


def test_a_minute_is_kept_while_the_spool_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    service = ingest()
    handle_all(service, half(0, 1.0, None), half(0, None, 4.0), half(1, 2.0, None))

    def full(_: Reading) -> None:
        raise Unavailable(problem("spool_not_writable", reason="full"))

    with monkeypatch.context() as disk:
        disk.setattr(service._spool, "append", full)
        with pytest.raises(Unavailable):
            handle_all(service, half(1, None, 5.0))
    assert values(handle_all(service, half(1, None, 5.0))) == [(minute_at(1), 2.0, 5.0)]


def test_simulated_history_waits_for_a_plausible_clock(tmp_path: Path) -> None:
    now = [START.replace(year=1970)]
    past = SimulatedHistory(SITE, "site1", 8, lambda: now[0], tmp_path / "history.sent")
    with pytest.raises(Unavailable, match="1970-11-23"):
        list(past.next_parts())
    now[0] = START
    assert send_all(past)[-1].minutes[-1][0] == minute_at(-1)


def test_readings_of_the_future_are_marked() -> None:
    messages = handle_all(ingest(), measurement(0), tick(0), measurement(5_000_000), measurement(1))
    assert [item.clock for item in messages if isinstance(item, Reading)] == ["ok", "doubted", "ok"]
