from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from services.forecaster.manifest import ModelError
from services.trainer.keeper import Keeper
from services.trainer.plan import Advance, Ended, Failed, Plan, Record, TooLittle, Trained
from services.trainer.runner import InProcess
from services.trainer.service import Trainer
from shared.contract.messages import Command, Message, ModelTrained, Progress, Response, Score, Tick
from shared.settings import Settings, Training
from tests.unit.factories import START

ZONE = Settings().zone
TOO_LITTLE = TooLittle("001", "flow_rate", "not enough data yet")
TRAINED = Trained("001", "pressure", int(START.timestamp()), "m", "output/x", "0", 0, 60, True, "better", {"mae": 1.0})


class WrittenRunner:
    """A runner whose records a test hands in."""

    def __init__(self) -> None:
        self.begun: list[Plan] = []
        self.records: list[Record] = []

    def begin(self, plan: Plan) -> None:
        self.begun.append(plan)

    def poll(self) -> list[Record]:
        records, self.records = self.records, []
        return records


class WrittenShelf:
    """Models that a test writes by hand; each put into use is told."""

    def __init__(self, *used: Trained) -> None:
        self.used = list(used)

    def in_use(self) -> list[Trained]:
        return self.used

    def use(self, wanted: str, at: int, why: str, sensor: str = "", channel: str = "") -> list[Trained]:
        if wanted == "unknown":
            raise ModelError("there is no model unknown")
        found = Trained(sensor or "001", channel or "pressure", at, wanted, "output/x", "0", at, at, True, why)
        self.used = [found]
        return self.used


@dataclass
class WrittenPast:
    """Stored scores of sensor 001."""

    stored: list[Score] = field(default_factory=list)

    def sensors(self) -> list[str]:
        return ["001"] if self.stored else []

    def last_scored(self, sensor: str) -> int | None:  # noqa: ARG002
        return max((int(one.at.timestamp()) for one in self.stored), default=None)

    def scores(self, sensor: str, start: int, stop: int) -> list[Score]:  # noqa: ARG002
        return [one for one in self.stored if start <= one.at.timestamp() < stop]


def keeper(shelf: WrittenShelf | None = None, past: WrittenPast | None = None) -> Keeper:
    return Keeper("site1", ZONE, shelf or WrittenShelf(), past or WrittenPast())


def trainer(runner: WrittenRunner, training: Training | None = None, shelf: WrittenShelf | None = None) -> Trainer:
    return Trainer("site1", ZONE, training or Training(), runner, START, keeper(shelf))


def started(runner: WrittenRunner, *records: Record) -> Trainer:
    """A trainer whose first run has ended so."""
    service = trainer(runner)
    list(service.start())
    runner.records = [*records, Ended()]
    list(service.settle())
    return service


def command(**arguments: str) -> Command:
    return Command("site1", "train", "t-7", arguments)


def imported(minutes: float = 5, step: int = 3) -> Progress:
    return Progress("site1", START + timedelta(minutes=minutes), "import", step, 3, None, "")


def clock(text: str) -> Tick:
    return Tick("site1", datetime.fromisoformat(text).replace(tzinfo=ZONE))


def tell(service: Trainer, *messages: Message) -> list[Message]:
    return [said for message in messages for said in service.handle(message)]


def test_every_start_trains() -> None:
    runner = WrittenRunner()
    assert list(trainer(runner).start()) == []
    assert runner.begun == [Plan(int(START.timestamp()))]


def test_a_start_tells_again_what_is_in_use() -> None:
    (said,) = trainer(WrittenRunner(), shelf=WrittenShelf(TRAINED)).start()
    assert isinstance(said, ModelTrained)
    assert (said.id, said.channel, said.at) == ("m", "pressure", START)


def test_without_automatic_it_trains_on_command_only() -> None:
    runner = WrittenRunner()
    service = trainer(runner, Training(automatic=False))
    list(service.start())
    tell(service, imported(), clock("2027-01-01 03:00"), clock("2027-01-02 03:00"))
    assert runner.begun == []
    tell(service, command())
    assert len(runner.begun) == 1


def test_a_command_is_answered_with_its_transaction_and_may_name_sensor_and_channel() -> None:
    runner = WrittenRunner()
    service = started(runner)
    assert tell(service, command(sensor="002", channel="pressure")) == [
        Response("site1", "train", "t-7", True, "training has begun")
    ]
    assert (runner.begun[-1].sensors, runner.begun[-1].channels) == (("002",), ("pressure",))


def test_a_command_for_an_unknown_channel_is_refused() -> None:
    runner = WrittenRunner()
    (said,) = tell(started(runner), command(channel="heat"))
    assert isinstance(said, Response)
    assert not said.ok
    assert len(runner.begun) == 1


def test_a_command_during_a_training_waits_until_that_has_ended() -> None:
    runner = WrittenRunner()
    service = trainer(runner)
    list(service.start())
    (said,) = tell(service, command(sensor="002"))
    assert isinstance(said, Response)
    assert said.ok
    assert len(runner.begun) == 1
    runner.records = [Ended()]
    list(service.settle())
    assert runner.begun[-1].sensors == ("002",)


def test_progress_carries_step_and_an_eta_on_the_clock_of_the_ticks() -> None:
    runner = WrittenRunner()
    service = trainer(runner)
    list(service.start())
    runner.records = [Advance(4, 62, 90.4, "epoch 4")]
    (said,) = tell(service, clock("2026-11-23 23:05"))
    now = START + timedelta(minutes=6)
    assert said == Progress("site1", now, "training", 4, 62, now + timedelta(seconds=90), "epoch 4")


def test_minutes_pass_while_it_trains() -> None:
    runner = WrittenRunner()
    service = trainer(runner)
    list(service.start())
    assert [tell(service, clock(f"2026-11-23 23:{minute:02}")) for minute in range(30)] == [[]] * 30


def test_what_was_trained_is_told() -> None:
    runner = WrittenRunner()
    service = trainer(runner)
    list(service.start())
    runner.records = [TRAINED]
    (said,) = service.settle()
    assert isinstance(said, ModelTrained)
    assert (said.promoted, said.metrics, said.trained_to - said.trained_from) == (
        True,
        {"mae": 1.0},
        timedelta(minutes=1),
    )


@pytest.mark.parametrize(("record", "text"), [(TOO_LITTLE, "not enough data yet"), (Failed("no memory"), "no memory")])
def test_what_hinders_is_said_plainly(record: Record, text: str) -> None:
    runner = WrittenRunner()
    service = trainer(runner)
    list(service.start())
    runner.records = [record]
    (said,) = service.settle()
    assert isinstance(said, Progress)
    assert (said.step, said.of) == (0, 0)
    assert text in said.text


def test_with_too_little_data_it_looks_again_each_night_at_three() -> None:
    runner = WrittenRunner()
    service = started(runner, TOO_LITTLE)
    tell(service, clock("2026-11-24 02:58"))
    assert len(runner.begun) == 1
    runner.records = [TOO_LITTLE, Ended()]
    tell(service, clock("2026-11-24 02:59"), clock("2026-11-24 03:00"), clock("2026-11-24 20:00"))
    assert len(runner.begun) == 2
    tell(service, clock("2026-11-25 07:13"))
    assert len(runner.begun) == 3


def test_with_a_model_it_trains_again_on_the_first_of_the_month_of_training() -> None:
    runner = WrittenRunner()
    service = started(runner, TRAINED)
    tell(service, clock("2026-12-01 03:00"), clock("2026-12-31 03:00"))
    assert len(runner.begun) == 1
    tell(service, clock("2027-01-01 02:59"), clock("2027-01-01 03:00"))
    assert len(runner.begun) == 2


def test_an_import_that_is_done_is_trained_on() -> None:
    runner = WrittenRunner()
    service = started(runner, TRAINED)
    tell(service, imported(step=2))
    assert len(runner.begun) == 1
    tell(service, imported())
    assert len(runner.begun) == 2


def test_an_import_that_ends_during_a_training_is_trained_on_after_it() -> None:
    runner = WrittenRunner()
    service = trainer(runner)
    list(service.start())
    tell(service, imported())
    assert len(runner.begun) == 1
    runner.records = [TRAINED, Ended()]
    list(service.settle())
    assert len(runner.begun) == 2


def test_an_import_older_than_the_last_training_is_not_trained_on_again() -> None:
    runner = WrittenRunner()
    tell(started(runner, TRAINED), imported(minutes=-600))
    assert len(runner.begun) == 1


def test_in_one_process_a_command_ends_with_the_trained_model() -> None:
    service = Trainer("site1", ZONE, Training(automatic=False), InProcess(lambda _: [TRAINED]), START, keeper())
    said = tell(service, command())
    assert [type(one) for one in said] == [Response, ModelTrained]


@pytest.mark.parametrize("year", [1970, 2027])
def test_a_start_on_a_wrong_clock_is_done_again_when_a_tick_tells_the_time(year: int) -> None:
    runner = WrittenRunner()
    service = Trainer("site1", ZONE, Training(), runner, START.replace(year=year), keeper())
    list(service.start())
    runner.records = [TOO_LITTLE, Ended()]
    tell(service, clock("2026-11-24 10:04"))
    assert [plan.at for plan in runner.begun][1:] == [int(clock("2026-11-24 10:05").at.timestamp())]
    tell(service, clock("2026-11-24 10:05"))
    assert len(runner.begun) == 2


def test_a_leap_over_the_turn_of_the_year_is_no_reason_to_train() -> None:
    runner = WrittenRunner()
    service = started(runner, TRAINED)
    tell(service, clock("2026-11-24 10:00"), clock("2027-01-01 03:00"), clock("2027-01-01 12:00"))
    assert len(runner.begun) == 1
    tell(service, clock("2027-12-31 12:00"), clock("2028-01-01 03:00"))
    assert len(runner.begun) == 2


def use(wanted: str, **arguments: str) -> Command:
    return Command("site1", "use", "t-8", {"id": wanted, **arguments})


def test_a_model_that_the_operator_chooses_is_in_use_at_once_and_told_before_the_answer() -> None:
    said = tell(started(WrittenRunner()), use("old", channel="flow_rate"))
    assert [type(one) for one in said] == [ModelTrained, Response]
    assert isinstance(said[0], ModelTrained)
    assert (said[0].id, said[0].channel, said[0].promoted) == ("old", "flow_rate", True)
    assert said[1] == Response("site1", "use", "t-8", True, "old is in use: 001 flow_rate")


def test_a_choice_that_cannot_be_had_is_refused_with_the_reason() -> None:
    assert tell(started(WrittenRunner()), use("unknown")) == [
        Response("site1", "use", "t-8", False, "there is no model unknown")
    ]


def test_a_choice_during_a_training_comes_after_what_that_promotes() -> None:
    runner = WrittenRunner()
    service = trainer(runner)
    list(service.start())
    (said,) = tell(service, use("old"))
    assert isinstance(said, Response)
    assert said.ok
    runner.records = [TRAINED, Ended()]
    assert [one.id for one in service.settle() if isinstance(one, ModelTrained)] == ["m", "old"]


def test_a_refused_candidate_is_followed_by_another_a_week_later() -> None:
    runner = WrittenRunner()
    service = started(runner, replace(TRAINED, promoted=False))
    tell(service, clock("2026-11-29 12:00"))
    assert len(runner.begun) == 1
    tell(service, clock("2026-11-30 02:59"), clock("2026-11-30 12:00"), clock("2026-12-07 12:00"))
    assert len(runner.begun) == 2


def test_a_training_that_failed_is_tried_again_the_next_night() -> None:
    runner = WrittenRunner()
    service = started(runner, Failed("the training process ended with code -9"), replace(TRAINED, promoted=False))
    tell(service, clock("2026-11-24 02:58"))
    assert len(runner.begun) == 1
    tell(service, clock("2026-11-24 03:00"), clock("2026-11-24 12:00"))
    assert len(runner.begun) == 2
