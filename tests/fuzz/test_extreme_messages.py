"""Messages that are valid by the contract and make no sense: no service dies, hangs or grows."""

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
from shared.runtime.gap_recovery import MAX_HELD_READINGS as MOST_BEHIND_A_GAP
from shared.settings import Settings
from tests.unit.factories import minute_at, prediction, reading, tick, verdict
from tests.unit.services.detector.fakes import FakeEmptyHistory, FakeForecaster, FakeHistory, replay
from tests.unit.services.detector.fakes import make_detector as fresh_detector
from tests.unit.services.detector.synthetic_site import SHAPES, make_site
from tests.unit.services.reporter.test_reporter import HOURS

SERVICES = ("ingest", "detector", "forecaster", "trainer", "db_writer", "reporter")
FIRST, LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2099, 12, 30, tzinfo=UTC)


class HypothesisDraw:
    """Choices that Hypothesis makes."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def number(self) -> float:
        return self._data.draw(st.floats(allow_nan=False, allow_infinity=False))

    def text(self, most: int) -> str:
        return self._data.draw(st.text(max_size=min(most, 40)))


def stage(name: str, folder: Path) -> ServiceHarness:
    made = ServiceHarness(make(name, folder))
    list(made.service.start())
    return made


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
    def handled(data: st.DataObject) -> None:
        one = stage(name, tmp_path / str(next(number)))
        one.process(items(HypothesisDraw(data), one.service, data.draw(st.integers(1, 15))))

    handled()


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
    """In an order that nobody would send them."""
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
    one = stage(name, tmp_path)
    consumed = [
        item
        for item in extreme_messages()
        if (item.name in one.service.commands if isinstance(item, Command) else type(item) in one.service.consumes)
    ]
    began = time.monotonic()
    one.process(consumed)
    one.process(consumed[::-1])
    for item in consumed:
        one.process([item])
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("name", ["detector", "forecaster", "db_writer"])
def test_ten_thousand_new_names_are_not_ten_thousand_sensors(name: str, tmp_path: Path) -> None:
    one = stage(name, tmp_path)
    strangers = [replace(reading(0), sensor=f"s{number}", seq=number, boot_id="b") for number in range(10_000)]
    one.process(strangers)
    refusals = [one.register.rejection_reason(stranger.sensor) for stranger in strangers]
    assert refusals.count(None) == MAX_SENSORS
    assert refusals[-1]
    assert "list those of this site in site.toml" in refusals[-1].en


def test_ingest_rejects_an_impossible_seq(tmp_path: Path) -> None:
    one = stage("ingest", tmp_path)
    messages = one.process(
        [Stored(site="site1", boot_id="001", seq=MAX_SEQ_JUMP + 1, at=minute_at(0), judged=-1, waiting=0)]
    )
    assert [type(message) for message in messages] == [Rejected]
    assert one.service._spool.next == 0  # type: ignore[attr-defined]


def test_jump_to_the_year_2099_is_forecast_in_parts(tmp_path: Path) -> None:
    one = stage("forecaster", tmp_path)
    one.process([reading(0), reading(1), tick(1), tick(2)])
    for _ in range(10):
        messages = one.process([Tick("site1", LAST)])
        assert len(messages) <= MAX_HOURS_PER_TICK


def detector() -> Detector:
    return Detector(Settings(), FakeEmptyHistory())


def post_of(one: Detector, messages: Iterable[Message]) -> tuple[SensorMonitor, int]:
    """The watch over sensor 001 after messages, and how many readings wait."""
    for item in messages:
        list(one.handle(item))
    return one._queues["001"].monitor, len(one._queues["001"].pending)


def test_old_predictions_are_dropped() -> None:
    hours = (replace(prediction(0), issued_at=FIRST + timedelta(hours=hour)) for hour in range(2 * MAX_FORECAST_HOURS))
    watch, _ = post_of(detector(), hours)
    assert len(watch.model.forecasts) <= MAX_FORECAST_HOURS


def test_readings_do_not_wait_for_predictions_without_limit() -> None:
    hours = (replace(reading(minute), at=minute_at(60 * minute)) for minute in range(MAX_PENDING + 500))
    _, waiting = post_of(detector(), hours)
    assert waiting <= MAX_PENDING


def test_a_clock_that_jumps_about_does_not_fill_the_memory() -> None:
    def jumping() -> Iterable[Reading]:
        for number in range(15_000):
            yield replace(reading(number), at=FIRST + timedelta(minutes=number * 7_919_993 % 60_000_000))

    one = detector()
    for hour in jumping():
        list(one.handle(hour))
        for _ in range(2):
            list(one.handle(tick(0)))
    watch = one._queues["001"].monitor
    assert len(watch.sequencer._seen_minutes) <= 10_000
    assert len(watch.model.history.days) <= 151


def test_day_that_repeats_is_stored_once() -> None:
    watch = SensorMonitor(Settings(), "001")
    for number in range(50):
        moment = minute_at(number).astimezone(minute_at(0).tzinfo if number % 2 else UTC)
        list(watch.process(replace(reading(number), at=moment), int(moment.timestamp()) // 60))
    assert len(watch.model.history.days) <= 2


def test_a_gap_that_never_closes_does_not_fill_the_memory(tmp_path: Path) -> None:
    one = stage("forecaster", tmp_path)
    one.process([reading(0)])
    one.process([replace(reading(2), seq=number) for number in range(2, MOST_BEHIND_A_GAP + 1000)])
    assert len(one.service._held) <= MOST_BEHIND_A_GAP  # type: ignore[attr-defined]


class FakeFolder(dict[str, str]):
    """data/sensor/, in memory."""

    def write(self, name: str, text: str) -> None:
        self[name] = text

    def read(self, name: str) -> str:
        return self.get(name, "")

    def prune_outbox(self, before: str, max_newer: int) -> None: ...


def test_reporter_memory_is_bounded() -> None:
    service = Reporter(FakeFolder(), Settings().zone, HOURS, 7, NullHistoryLookup())
    some: Sequence[Verdict] = [verdict(0), verdict(0, sensor="002")]
    list(service.handle(some[1]))
    for number in range(MAX_OPEN_LINES + 5000):
        list(service.handle(replace(some[0], at=FIRST + timedelta(minutes=2 * number))))
        if number % 1000 == 0:
            list(service.end_batch())
    list(service.end_batch())
    assert sum(map(len, service._blocks.lines.values())) <= MAX_OPEN_LINES


def test_a_command_for_nobody_is_answered() -> None:
    answers = list(detector().handle(Command("site1", "acknowledge", "t", {"id": "x" * 200})))
    assert [type(answer) for answer in answers] == [Response]
    encode(answers[0])


def test_unordered_minutes_are_stored_each_once(tmp_path: Path) -> None:
    one = stage("db_writer", tmp_path)
    minutes = tuple((minute_at(minute), float(minute), None) for minute in (5, 3, 9, 3))
    one.process([HistoryBatch(site="site1", sensor="001", source="import", part=1, of=1, minutes=minutes)])
    from shared.store.history import History as Stored_

    kept = Stored_(tmp_path / "wvr.db", Settings().zone, "site1").readings("001", 0, 2**40)
    assert kept.flow_rate.tolist() == [3.0, 5.0, 9.0]


def test_prediction_of_an_unknown_sensor_is_rejected(tmp_path: Path) -> None:
    one = stage("detector", tmp_path)
    message: Prediction = prediction(0, "nobody")
    one.process([message, anomaly()])
    assert "nobody" not in str(one.service._service._posts)  # type: ignore[attr-defined]


class FakeArchive(FakeHistory):
    """History with criteria that somebody has changed."""

    def __init__(self, readings: list[Reading], messages: Iterable[Message], found: Criteria) -> None:
        super().__init__(readings, messages)
        self._found = found

    def criteria(self, sensor: str) -> list[Criteria]:  # noqa: ARG002
        return [self._found]


@pytest.mark.parametrize("change", ["no limits", "no curves", "zero spread", "short curve", "zero limit"])
def test_edited_criteria_are_learned_again(change: str) -> None:
    readings = [*make_site(SHAPES["homes"], 4, seed=4).readings()]
    messages = list(replay(fresh_detector(), readings, FakeForecaster()))
    learned = [one for one in messages if isinstance(one, Criteria)][-1]
    curves = {name: curve for name, curve in learned.profiles.items() if "spread" in name}
    changed = {
        "no limits": replace(learned, limits={"flow_rate.value.limit": 1.0}),
        "no curves": replace(learned, profiles={}),
        "zero spread": replace(learned, profiles=dict.fromkeys(curves, (0.0,) * 24)),
        "short curve": replace(learned, profiles=dict.fromkeys(curves, (1.0,))),
        "zero limit": replace(learned, limits=dict.fromkeys(learned.limits, 0.0)),
    }[change]
    again = Detector(Settings(), FakeArchive(readings, messages, changed))
    recovered = [one for one in again.start() if isinstance(one, Criteria)]
    assert recovered
    assert recovered[0].limits != changed.limits or recovered[0].profiles != changed.profiles
    last = readings[-1]
    verdicts = list(again.handle(replace(last, at=last.at + timedelta(minutes=1), seq=last.seq + 1)))
    for _ in range(2):
        verdicts += again.handle(Tick("site1", last.at))
    assert [type(one) for one in verdicts if isinstance(one, Verdict)] == [Verdict]
