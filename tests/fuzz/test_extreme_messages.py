"""Valid messages with extreme content: no service fails, blocks or uses unlimited memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.fuzz.message_generator import message
from bench.fuzz.services import ServiceHarness, items, make
from services.detector.sensor_monitor import SensorMonitor
from services.detector.service import MAX_FORECAST_HOURS, MAX_PENDING, Detector
from services.forecaster.service import MAX_HOURS_PER_TICK
from services.ingest.service import MAX_SEQ_JUMP
from services.reporter.blocks import MAX_OPEN_LINES
from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.service import Reporter
from shared.contract.codec import decode, encode
from shared.contract.messages import (
    MAX_SENSORS,
    MESSAGES,
    Anomaly,
    Command,
    Criteria,
    HistoryBatch,
    LocalizedText,
    Message,
    ModelTrained,
    Prediction,
    Progress,
    Reading,
    Rejected,
    Response,
    Stored,
    Tick,
    Verdict,
)
from shared.contract.texts import technical
from shared.contract.topics import topic_of
from shared.runtime.gap_recovery import MAX_HELD_READINGS
from shared.settings import Settings
from shared.store.history import History
from tests.unit.factories import minute_at, prediction, reading, tick, verdict
from tests.unit.services.detector.fakes import FakeEmptyHistory, FakeForecaster, FakeHistory, make_detector, replay
from tests.unit.services.detector.synthetic_site import SHAPES, make_site
from tests.unit.services.reporter.test_reporter import HOURS

SERVICES = ("ingest", "detector", "forecaster", "trainer", "db_writer", "reporter", "dashboard", "notifier")
FIRST, LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2099, 12, 30, tzinfo=UTC)


class HypothesisDraw:
    """A value source of Hypothesis."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def number(self) -> float:
        return self._data.draw(st.floats(allow_nan=False, allow_infinity=False))

    def text(self, max_length: int) -> str:
        return self._data.draw(st.text(max_size=min(max_length, 40)))


def make_harness(name: str, folder: Path) -> ServiceHarness:
    harness = ServiceHarness(make(name, folder))
    list(harness.service.start())
    return harness


@given(st.data())
@settings(max_examples=150)
def test_valid_message_survives_encoding(data: st.DataObject) -> None:
    sent = message(HypothesisDraw(data), MESSAGES)
    assert decode(topic_of(sent), encode(sent)) == sent


@pytest.mark.parametrize("name", SERVICES)
def test_any_sequence_of_valid_messages_is_handled(name: str, tmp_path: Path) -> None:
    number = count()

    @given(st.data())
    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    def handle_sequence(data: st.DataObject) -> None:
        harness = make_harness(name, tmp_path / str(next(number)))
        harness.process(items(HypothesisDraw(data), harness.service, data.draw(st.integers(1, 15))))

    handle_sequence()


def anomaly(sensor: str = "nobody") -> Anomaly:
    return Anomaly(
        site="site1",
        sensor=sensor,
        id="a1",
        at=minute_at(0),
        channels=("pressure",),
        methods=("value",),
        kind="silence",
        trigger="silence",
        state="opened",
        acknowledged=False,
        severity="critical",
        opened_at=minute_at(0),
        onset_at=minute_at(0),
        cleared_at=None,
        peak=1.0,
        excess_m3h=None,
        text=LocalizedText("", ""),
    )


def extreme_messages() -> list[Message]:
    """Return extreme messages in an unusual order."""
    late, early = replace(reading(0), at=FIRST), replace(reading(1), at=LAST)
    unordered = tuple((minute_at(minute), 1e9, -1e9) for minute in (5, 3, 9, 3, -50_000))
    trained = ModelTrained(
        site="site1",
        sensor="nobody",
        at=minute_at(0),
        channel="pressure",
        id="m",
        path="output/Learning_lstm/x",
        checksum="0" * 64,
        trained_from=FIRST,
        trained_to=LAST,
        metrics={},
        promoted=True,
        reason=technical(""),
    )
    return [
        tick(0),
        Tick("site1", LAST, "boot", 999_999_999_999),
        Tick("site1", FIRST),
        tick(1),
        anomaly(),
        prediction(0, "nobody"),
        trained,
        late,
        early,
        late,
        replace(reading(2), seq=999_999_999_999),
        reading(3),
        reading(3),
        replace(reading(4), boot_id="other", seq=5, after=-1),
        replace(reading(5), flow_rate=-0.0, pressure=1e-300),
        HistoryBatch(site="site1", sensor="001", source="import", part=7, of=3, minutes=unordered),
        replace(verdict(0), at=LAST),
        replace(verdict(0), at=FIRST),
        prediction(0),
        replace(prediction(0), issued_at=LAST),
        replace(prediction(0), issued_at=FIRST),
        Progress(site="site1", at=LAST, job="import", step=1, of=1, eta=None, text=technical("")),
        Command("site1", "acknowledge", "t", {str(number): "x" * 200 for number in range(16)}),
        Command("site1", "train", "t", {"sensor": "../../etc", "channel": "\x00"}),
        Command("site1", "train", "t", {"sensor": "x" * 200}),
        Stored(
            site="site1",
            boot_id="001",
            seq=999_999_999_999,
            at=LAST,
            judged=999_999_999_999,
            waiting=0,
            seen=999_999_999_999,
        ),
    ]


@pytest.mark.parametrize("name", SERVICES)
def test_extreme_messages_are_handled_in_any_order_in_time(name: str, tmp_path: Path) -> None:
    harness = make_harness(name, tmp_path)
    consumed = [
        item
        for item in extreme_messages()
        if (
            item.name in harness.service.commands
            if isinstance(item, Command)
            else type(item) in harness.service.consumes
        )
    ]
    started_at = time.monotonic()
    harness.process(consumed)
    harness.process(consumed[::-1])
    for item in consumed:
        harness.process([item])
    assert time.monotonic() - started_at < 30


@pytest.mark.parametrize("name", ["detector", "forecaster", "db_writer"])
def test_sensors_above_the_limit_are_rejected(name: str, tmp_path: Path) -> None:
    harness = make_harness(name, tmp_path)
    readings = [replace(reading(0), sensor=f"s{number}", seq=number, boot_id="b") for number in range(10_000)]
    harness.process(readings)
    refusals = [harness.registry.rejection_reason(new_reading.sensor) for new_reading in readings]
    assert refusals.count(None) == MAX_SENSORS
    assert refusals[-1]
    assert "list those of this site in site.toml" in refusals[-1].en


def test_ingest_rejects_an_impossible_seq(tmp_path: Path) -> None:
    harness = make_harness("ingest", tmp_path)
    messages = harness.process(
        [Stored(site="site1", boot_id="001", seq=MAX_SEQ_JUMP + 1, at=minute_at(0), judged=-1, waiting=0)]
    )
    assert [type(message) for message in messages] == [Rejected]
    assert harness.service._spool.next_seq == 0  # type: ignore[attr-defined]


def test_jump_to_the_year_2099_is_forecast_in_parts(tmp_path: Path) -> None:
    harness = make_harness("forecaster", tmp_path)
    harness.process([reading(0), reading(1), tick(1), tick(2)])
    for _ in range(10):
        messages = harness.process([Tick("site1", LAST)])
        assert len(messages) <= MAX_HOURS_PER_TICK


def make_empty_detector() -> Detector:
    return Detector(Settings(), FakeEmptyHistory())


def queue_state(service: Detector, messages: Iterable[Message]) -> tuple[SensorMonitor, int]:
    """Handle messages; return the monitor of sensor 001 and the number of its pending readings."""
    for item in messages:
        list(service.handle(item))
    return service._queues["001"].monitor, len(service._queues["001"].pending)


def test_old_predictions_are_dropped() -> None:
    hours = (replace(prediction(0), issued_at=FIRST + timedelta(hours=hour)) for hour in range(2 * MAX_FORECAST_HOURS))
    monitor, _ = queue_state(make_empty_detector(), hours)
    assert len(monitor.model.forecasts) <= MAX_FORECAST_HOURS


def test_readings_do_not_wait_for_predictions_without_limit() -> None:
    hours = (replace(reading(minute), at=minute_at(60 * minute)) for minute in range(MAX_PENDING + 500))
    _, waiting = queue_state(make_empty_detector(), hours)
    assert waiting <= MAX_PENDING


def test_memory_is_limited_when_the_clock_jumps() -> None:
    def readings_of_a_jumping_clock() -> Iterable[Reading]:
        for number in range(15_000):
            yield replace(reading(number), at=FIRST + timedelta(minutes=number * 7_919_993 % 60_000_000))

    service = make_empty_detector()
    for item in readings_of_a_jumping_clock():
        list(service.handle(item))
        for _ in range(2):
            list(service.handle(tick(0)))
    monitor = service._queues["001"].monitor
    assert len(monitor.sequencer._seen_minutes) <= 10_000
    assert len(monitor.model.history.days) <= 151


def test_repeated_day_is_stored_once() -> None:
    monitor = SensorMonitor(Settings(), "001")
    for number in range(50):
        at = minute_at(number).astimezone(minute_at(0).tzinfo if number % 2 else UTC)
        list(monitor.process(replace(reading(number), at=at), int(at.timestamp()) // 60))
    assert len(monitor.model.history.days) <= 2


def test_memory_is_limited_behind_a_permanent_gap(tmp_path: Path) -> None:
    harness = make_harness("forecaster", tmp_path)
    harness.process([reading(0)])
    harness.process([replace(reading(2), seq=number) for number in range(2, MAX_HELD_READINGS + 1000)])
    assert len(harness.service._held) <= MAX_HELD_READINGS  # type: ignore[attr-defined]


class FakeFolder(dict[str, str]):
    """data/sensor/ in memory."""

    def write(self, name: str, text: str) -> None:
        self[name] = text

    def read(self, name: str) -> str:
        return self.get(name, "")

    def prune_outbox(self, before: str, max_newer: int) -> None: ...


def test_reporter_memory_is_limited() -> None:
    service = Reporter(FakeFolder(), Settings().zone, HOURS, 7, NullHistoryLookup())
    verdicts: Sequence[Verdict] = [verdict(0), verdict(0, sensor="002")]
    list(service.handle(verdicts[1]))
    for number in range(MAX_OPEN_LINES + 5000):
        list(service.handle(replace(verdicts[0], at=FIRST + timedelta(minutes=2 * number))))
        if number % 1000 == 0:
            list(service.end_batch())
    list(service.end_batch())
    assert sum(map(len, service._blocks.lines.values())) <= MAX_OPEN_LINES


def test_command_for_an_unknown_anomaly_is_answered() -> None:
    answers = list(make_empty_detector().handle(Command("site1", "acknowledge", "t", {"id": "x" * 200})))
    assert [type(answer) for answer in answers] == [Response]
    encode(answers[0])


def test_unordered_minutes_are_stored_once(tmp_path: Path) -> None:
    harness = make_harness("db_writer", tmp_path)
    minutes = tuple((minute_at(minute), float(minute), None) for minute in (5, 3, 9, 3))
    harness.process([HistoryBatch(site="site1", sensor="001", source="import", part=1, of=1, minutes=minutes)])
    stored = History(tmp_path / "wvr.db", Settings().zone, "site1").readings("001", 0, 2**40)
    assert stored.flow_rate.tolist() == [3.0, 5.0, 9.0]


def test_prediction_of_an_unknown_sensor_is_rejected(tmp_path: Path) -> None:
    harness = make_harness("detector", tmp_path)
    message: Prediction = prediction(0, "nobody")
    harness.process([message, anomaly()])
    assert "nobody" not in str(harness.service._service._queues)  # type: ignore[attr-defined]


class FakeArchive(FakeHistory):
    """A history with edited criteria."""

    def __init__(self, readings: list[Reading], messages: Iterable[Message], criteria: Criteria) -> None:
        super().__init__(readings, messages)
        self._criteria = criteria

    def criteria(self, sensor: str) -> list[Criteria]:  # noqa: ARG002
        return [self._criteria]


@pytest.mark.parametrize("change", ["no limits", "no profiles", "zero spread", "short profile", "zero limit"])
def test_edited_criteria_are_learned_again(change: str) -> None:
    readings = [*make_site(SHAPES["homes"], 4, seed=4).readings()]
    messages = list(replay(make_detector(), readings, FakeForecaster()))
    learned = [message for message in messages if isinstance(message, Criteria)][-1]
    spreads = {name: profile for name, profile in learned.profiles.items() if "spread" in name}
    changed = {
        "no limits": replace(learned, limits={"flow_rate.value.limit": 1.0}),
        "no profiles": replace(learned, profiles={}),
        "zero spread": replace(learned, profiles=dict.fromkeys(spreads, (0.0,) * 24)),
        "short profile": replace(learned, profiles=dict.fromkeys(spreads, (1.0,))),
        "zero limit": replace(learned, limits=dict.fromkeys(learned.limits, 0.0)),
    }[change]
    restarted = Detector(Settings(), FakeArchive(readings, messages, changed))
    relearned = [message for message in restarted.start() if isinstance(message, Criteria)]
    assert relearned
    assert relearned[0].limits != changed.limits or relearned[0].profiles != changed.profiles
    last = readings[-1]
    verdicts = list(restarted.handle(replace(last, at=last.at + timedelta(minutes=1), seq=last.seq + 1)))
    for _ in range(2):
        verdicts += restarted.handle(Tick("site1", last.at))
    assert [type(message) for message in verdicts if isinstance(message, Verdict)] == [Verdict]
