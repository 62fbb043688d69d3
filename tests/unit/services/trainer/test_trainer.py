from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from services.trainer.model_selection import ModelSelector
from services.trainer.runner import InProcessRunner
from services.trainer.service import Trainer
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingEnded,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
    TrainingResult,
)
from shared.contract.messages import Command, Message, ModelTrained, Progress, Response, Score, Tick
from shared.models.manifest import ModelError
from shared.settings import Settings, Training
from tests.unit.factories import START

ZONE = Settings().zone
INSUFFICIENT = InsufficientData("001", "flow_rate", "not enough data yet")
TRAINED = TrainingResult(
    "001", "pressure", int(START.timestamp()), "m", "output/x", "0", 0, 60, True, "better", {"mae": 1.0}
)


class FakeRunner:
    """A runner whose records a test hands in."""

    def __init__(self) -> None:
        self.requests: list[TrainingRequest] = []
        self.records: list[TrainingRecord] = []

    def start(self, request: TrainingRequest) -> None:
        self.requests.append(request)

    def poll(self) -> list[TrainingRecord]:
        records, self.records = self.records, []
        return records


class FakeRegistry:
    """Models that a test writes by hand; each put into use is told."""

    def __init__(self, *used: TrainingResult) -> None:
        self.results = list(used)

    def active(self) -> list[TrainingResult]:
        return self.results

    def activate(self, version: str, at: int, reason: str, sensor: str = "", channel: str = "") -> list[TrainingResult]:
        if version == "unknown":
            raise ModelError("there is no model unknown")
        found = TrainingResult(
            sensor or "001", channel or "pressure", at, version, "output/x", "0", at, at, True, reason
        )
        self.results = [found]
        return self.results


@dataclass
class FakeScoreHistory:
    """Stored scores of sensor 001."""

    stored: list[Score] = field(default_factory=list)

    def sensors(self) -> list[str]:
        return ["001"] if self.stored else []

    def last_scored(self, sensor: str) -> int | None:  # noqa: ARG002
        return max((int(one.at.timestamp()) for one in self.stored), default=None)

    def scores(self, sensor: str, start: int, stop: int) -> list[Score]:  # noqa: ARG002
        return [one for one in self.stored if start <= one.at.timestamp() < stop]


def make_selector(shelf: FakeRegistry | None = None, past: FakeScoreHistory | None = None) -> ModelSelector:
    return ModelSelector("site1", ZONE, shelf or FakeRegistry(), past or FakeScoreHistory())


def make_trainer(runner: FakeRunner, training: Training | None = None, shelf: FakeRegistry | None = None) -> Trainer:
    return Trainer("site1", ZONE, training or Training(), runner, START, make_selector(shelf))


def started_trainer(runner: FakeRunner, *records: TrainingRecord) -> Trainer:
    """A trainer whose first run has ended so."""
    service = make_trainer(runner)
    list(service.start())
    runner.records = [*records, TrainingEnded()]
    list(service.end_batch())
    return service


def train_command(**arguments: str) -> Command:
    return Command("site1", "train", "t-7", arguments)


def import_progress(minutes: float = 5, step: int = 3) -> Progress:
    return Progress("site1", START + timedelta(minutes=minutes), "import", step, 3, None, "")


def tick_at(text: str) -> Tick:
    return Tick("site1", datetime.fromisoformat(text).replace(tzinfo=ZONE))


def handle_all(service: Trainer, *messages: Message) -> list[Message]:
    return [said for message in messages for said in service.handle(message)]


def test_every_start_trains() -> None:
    runner = FakeRunner()
    assert list(make_trainer(runner).start()) == []
    assert runner.requests == [TrainingRequest(int(START.timestamp()))]


def test_a_start_tells_again_what_is_in_use() -> None:
    (said,) = make_trainer(FakeRunner(), shelf=FakeRegistry(TRAINED)).start()
    assert isinstance(said, ModelTrained)
    assert (said.id, said.channel, said.at) == ("m", "pressure", START)


def test_without_automatic_it_trains_on_command_only() -> None:
    runner = FakeRunner()
    service = make_trainer(runner, Training(automatic=False))
    list(service.start())
    handle_all(service, import_progress(), tick_at("2027-01-01 03:00"), tick_at("2027-01-02 03:00"))
    assert runner.requests == []
    handle_all(service, train_command())
    assert len(runner.requests) == 1


def test_a_command_is_answered_with_its_transaction_and_may_name_sensor_and_channel() -> None:
    runner = FakeRunner()
    service = started_trainer(runner)
    assert handle_all(service, train_command(sensor="002", channel="pressure")) == [
        Response("site1", "train", "t-7", True, "training has begun")
    ]
    assert (runner.requests[-1].sensors, runner.requests[-1].channels) == (("002",), ("pressure",))


def test_a_command_for_an_unknown_channel_is_refused() -> None:
    runner = FakeRunner()
    (said,) = handle_all(started_trainer(runner), train_command(channel="heat"))
    assert isinstance(said, Response)
    assert not said.ok
    assert len(runner.requests) == 1


def test_a_command_during_a_training_waits_until_that_has_ended() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    (said,) = handle_all(service, train_command(sensor="002"))
    assert isinstance(said, Response)
    assert said.ok
    assert len(runner.requests) == 1
    runner.records = [TrainingEnded()]
    list(service.end_batch())
    assert runner.requests[-1].sensors == ("002",)


def test_progress_carries_step_and_an_eta_on_the_clock_of_the_ticks() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    runner.records = [TrainingProgress(4, 62, 90.4, "epoch 4")]
    (said,) = handle_all(service, tick_at("2026-11-23 23:05"))
    now = START + timedelta(minutes=6)
    assert said == Progress("site1", now, "training", 4, 62, now + timedelta(seconds=90), "epoch 4")


def test_minutes_pass_while_it_trains() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    assert [handle_all(service, tick_at(f"2026-11-23 23:{minute:02}")) for minute in range(30)] == [[]] * 30


def test_what_was_trained_is_told() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    runner.records = [TRAINED]
    (said,) = service.end_batch()
    assert isinstance(said, ModelTrained)
    assert (said.promoted, said.metrics, said.trained_to - said.trained_from) == (
        True,
        {"mae": 1.0},
        timedelta(minutes=1),
    )


@pytest.mark.parametrize(
    ("record", "text"), [(INSUFFICIENT, "not enough data yet"), (TrainingFailed("no memory"), "no memory")]
)
def test_what_hinders_is_said_plainly(record: TrainingRecord, text: str) -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    runner.records = [record]
    (said,) = service.end_batch()
    assert isinstance(said, Progress)
    assert (said.step, said.of) == (0, 0)
    assert text in said.text


def test_with_too_little_data_it_looks_again_each_night_at_three() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, INSUFFICIENT)
    handle_all(service, tick_at("2026-11-24 02:58"))
    assert len(runner.requests) == 1
    runner.records = [INSUFFICIENT, TrainingEnded()]
    handle_all(service, tick_at("2026-11-24 02:59"), tick_at("2026-11-24 03:00"), tick_at("2026-11-24 20:00"))
    assert len(runner.requests) == 2
    handle_all(service, tick_at("2026-11-25 07:13"))
    assert len(runner.requests) == 3


def test_with_a_model_it_trains_again_on_the_first_of_the_month_of_training() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, tick_at("2026-12-01 03:00"), tick_at("2026-12-31 03:00"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2027-01-01 02:59"), tick_at("2027-01-01 03:00"))
    assert len(runner.requests) == 2


def test_an_import_that_is_done_is_trained_on() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, import_progress(step=2))
    assert len(runner.requests) == 1
    handle_all(service, import_progress())
    assert len(runner.requests) == 2


def test_an_import_that_ends_during_a_training_is_trained_on_after_it() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    handle_all(service, import_progress())
    assert len(runner.requests) == 1
    runner.records = [TRAINED, TrainingEnded()]
    list(service.end_batch())
    assert len(runner.requests) == 2


def test_an_import_older_than_the_last_training_is_not_trained_on_again() -> None:
    runner = FakeRunner()
    handle_all(started_trainer(runner, TRAINED), import_progress(minutes=-600))
    assert len(runner.requests) == 1


def test_in_one_process_a_command_ends_with_the_trained_model() -> None:
    service = Trainer(
        "site1", ZONE, Training(automatic=False), InProcessRunner(lambda _: [TRAINED]), START, make_selector()
    )
    said = handle_all(service, train_command())
    assert [type(one) for one in said] == [Response, ModelTrained]


@pytest.mark.parametrize("year", [1970, 2027])
def test_a_start_on_a_wrong_clock_is_done_again_when_a_tick_tells_the_time(year: int) -> None:
    runner = FakeRunner()
    service = Trainer("site1", ZONE, Training(), runner, START.replace(year=year), make_selector())
    list(service.start())
    runner.records = [INSUFFICIENT, TrainingEnded()]
    handle_all(service, tick_at("2026-11-24 10:04"))
    assert [plan.at for plan in runner.requests][1:] == [int(tick_at("2026-11-24 10:05").at.timestamp())]
    handle_all(service, tick_at("2026-11-24 10:05"))
    assert len(runner.requests) == 2


def test_a_leap_over_the_turn_of_the_year_is_no_reason_to_train() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, tick_at("2026-11-24 10:00"), tick_at("2027-01-01 03:00"), tick_at("2027-01-01 12:00"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2027-12-31 12:00"), tick_at("2028-01-01 03:00"))
    assert len(runner.requests) == 2


def use_command(wanted: str, **arguments: str) -> Command:
    return Command("site1", "use", "t-8", {"id": wanted, **arguments})


def test_a_model_that_the_operator_chooses_is_in_use_at_once_and_told_before_the_answer() -> None:
    said = handle_all(started_trainer(FakeRunner()), use_command("old", channel="flow_rate"))
    assert [type(one) for one in said] == [ModelTrained, Response]
    assert isinstance(said[0], ModelTrained)
    assert (said[0].id, said[0].channel, said[0].promoted) == ("old", "flow_rate", True)
    assert said[1] == Response("site1", "use", "t-8", True, "old is in use: 001 flow_rate")


def test_a_choice_that_cannot_be_had_is_refused_with_the_reason() -> None:
    assert handle_all(started_trainer(FakeRunner()), use_command("unknown")) == [
        Response("site1", "use", "t-8", False, "there is no model unknown")
    ]


def test_a_choice_during_a_training_comes_after_what_that_promotes() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    (said,) = handle_all(service, use_command("old"))
    assert isinstance(said, Response)
    assert said.ok
    runner.records = [TRAINED, TrainingEnded()]
    assert [one.id for one in service.end_batch() if isinstance(one, ModelTrained)] == ["m", "old"]


def test_a_refused_candidate_is_followed_by_another_a_week_later() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, replace(TRAINED, promoted=False))
    handle_all(service, tick_at("2026-11-29 12:00"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2026-11-30 02:59"), tick_at("2026-11-30 12:00"), tick_at("2026-12-07 12:00"))
    assert len(runner.requests) == 2


def test_a_training_that_failed_is_tried_again_the_next_night() -> None:
    runner = FakeRunner()
    service = started_trainer(
        runner, TrainingFailed("the training process ended with code -9"), replace(TRAINED, promoted=False)
    )
    handle_all(service, tick_at("2026-11-24 02:58"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2026-11-24 03:00"), tick_at("2026-11-24 12:00"))
    assert len(runner.requests) == 2
