from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from services.trainer.model_selection import ModelSelector
from services.trainer.runner import InProcessRunner
from services.trainer.service import ABANDONED_IMPORT_TICKS, Trainer
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingEnded,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
)
from shared.contract.messages import (
    Command,
    LocalizedText,
    Message,
    ModelTrained,
    Progress,
    Response,
    Score,
    Tick,
)
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.models.manifest import ModelError
from shared.models.training_result import TrainingResult
from shared.settings import Settings
from shared.settings.sections import Training
from tests.unit.factories import START

ZONE = Settings().zone
EPOCH_TEXT = LocalizedText("에포크 4", "epoch 4")
INSUFFICIENT = InsufficientData("001", "flow_rate", technical("not enough data yet"))
TRAINED = TrainingResult(
    "001", "pressure", int(START.timestamp()), "m", "output/x", "0", 0, 60, True, technical("better"), {"mae": 1.0}
)


FIRST_TICK = Tick("site1", START - timedelta(minutes=1))


class FakeRunner:
    """Returns the records that a test sets."""

    def __init__(self) -> None:
        self.requests: list[TrainingRequest] = []
        self.records: list[TrainingRecord] = []

    def start(self, request: TrainingRequest) -> None:
        self.requests.append(request)

    def poll(self) -> list[TrainingRecord]:
        records, self.records = self.records, []
        return records


class FakeRegistry:
    """Has one active model; each activation replaces it."""

    def __init__(self, *used: TrainingResult) -> None:
        self.results = list(used)

    def active(self) -> list[TrainingResult]:
        return self.results

    def activate(
        self,
        version: str,
        at: int,
        reason: LocalizedText,
        sensor: str = "",
        channel: str = "",
        *,
        demotion: bool = False,
    ) -> list[TrainingResult]:
        if version == "unknown":
            raise ModelError(LocalizedText("unknown 모델이 없습니다", "there is no model unknown"))
        result = TrainingResult(
            sensor or "001",
            channel or "pressure",
            at,
            version,
            "output/x",
            "0",
            at,
            at,
            True,
            reason,
            demotion=demotion,
        )
        self.results = [result]
        return self.results


@dataclass
class FakeScoreHistory:
    """Stored scores of sensor 001."""

    stored: list[Score] = field(default_factory=list)

    def retired(self) -> set[str]:
        return set()

    def active_sensors(self) -> list[str]:
        return self.sensors()

    def sensors(self) -> list[str]:
        return ["001"] if self.stored else []

    def last_scored(self, sensor: str) -> int | None:  # noqa: ARG002
        return max((int(score.at.timestamp()) for score in self.stored), default=None)

    def scores(self, sensor: str, start: int, stop: int) -> list[Score]:  # noqa: ARG002
        return [score for score in self.stored if start <= score.at.timestamp() < stop]


def make_selector(registry: FakeRegistry | None = None, history: FakeScoreHistory | None = None) -> ModelSelector:
    return ModelSelector("site1", ZONE, registry or FakeRegistry(), history or FakeScoreHistory())


def make_trainer(runner: FakeRunner, training: Training | None = None, registry: FakeRegistry | None = None) -> Trainer:
    return Trainer("site1", ZONE, training or Training(), runner, START, make_selector(registry))


def training_trainer(runner: FakeRunner) -> Trainer:
    """Return a trainer whose first training runs."""
    service = make_trainer(runner)
    list(service.start())
    handle_all(service, FIRST_TICK)
    return service


def started_trainer(runner: FakeRunner, *records: TrainingRecord) -> Trainer:
    """Return a trainer whose first training has ended with these records."""
    service = training_trainer(runner)
    runner.records = [*records, TrainingEnded()]
    list(service.end_batch())
    return service


def train_command(**arguments: str) -> Command:
    return Command("site1", "train", "t-7", arguments)


def import_progress(minutes: float = 5, step: int = 3) -> Progress:
    return Progress(
        site="site1", at=START + timedelta(minutes=minutes), job="import", step=step, of=3, eta=None, text=technical("")
    )


def tick_at(text: str) -> Tick:
    return Tick("site1", datetime.fromisoformat(text).replace(tzinfo=ZONE))


def ticks(count: int) -> list[Tick]:
    return [FIRST_TICK] * count


def handle_all(service: Trainer, *messages: Message) -> list[Message]:
    return [answer for message in messages for answer in service.handle(message)]


def test_every_start_trains_at_the_first_tick() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    assert [*service.start(), *service.end_batch()] == []
    assert runner.requests == []
    assert handle_all(service, FIRST_TICK) == []
    assert runner.requests == [TrainingRequest(int(START.timestamp()))]


def test_start_reports_the_active_models() -> None:
    (message,) = make_trainer(FakeRunner(), registry=FakeRegistry(TRAINED)).start()
    assert isinstance(message, ModelTrained)
    assert (message.id, message.channel, message.at) == ("m", "pressure", START)


def test_without_automatic_only_a_command_trains() -> None:
    runner = FakeRunner()
    service = make_trainer(runner, Training(automatic=False))
    list(service.start())
    handle_all(service, import_progress(), tick_at("2027-01-01 03:00"), tick_at("2027-01-02 03:00"))
    assert runner.requests == []
    handle_all(service, train_command())
    assert len(runner.requests) == 1


def test_train_command_is_answered_and_may_name_sensor_and_channel() -> None:
    runner = FakeRunner()
    service = started_trainer(runner)
    assert handle_all(service, train_command(sensor="002", channel="pressure")) == [
        Response(
            site="site1",
            name="train",
            transaction="t-7",
            ok=True,
            text=LocalizedText("학습을 시작했습니다", "training has started"),
        )
    ]
    assert (runner.requests[-1].sensors, runner.requests[-1].channels) == (("002",), ("pressure",))


def test_train_command_for_an_unknown_channel_is_refused() -> None:
    runner = FakeRunner()
    (message,) = handle_all(started_trainer(runner), train_command(channel="heat"))
    assert isinstance(message, Response)
    assert not message.ok
    assert len(runner.requests) == 1


def test_train_command_before_the_first_tick_does_not_replace_the_training_of_the_start() -> None:
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    handle_all(service, train_command(sensor="002"))
    runner.records = [TrainingEnded()]
    handle_all(service, FIRST_TICK)
    assert [request.sensors for request in runner.requests] == [("002",), ()]


def test_queued_requests_are_merged() -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    handle_all(service, train_command(sensor="003"), train_command(sensor="002", channel="pressure"))
    runner.records = [TrainingEnded()]
    list(service.end_batch())
    assert (runner.requests[-1].sensors, runner.requests[-1].channels) == (("002", "003"), ())


def test_train_command_during_a_training_is_queued() -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    (message,) = handle_all(service, train_command(sensor="002"))
    assert isinstance(message, Response)
    assert message.ok
    assert len(runner.requests) == 1
    runner.records = [TrainingEnded()]
    list(service.end_batch())
    assert runner.requests[-1].sensors == ("002",)


def test_progress_has_step_and_eta_in_tick_time() -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    runner.records = [TrainingProgress(4, 62, 90.4, EPOCH_TEXT)]
    (message,) = handle_all(service, tick_at("2026-11-23 23:05"))
    now = START + timedelta(minutes=6)
    assert message == Progress(
        site="site1", at=now, job="training", step=4, of=62, eta=now + timedelta(seconds=90), text=EPOCH_TEXT
    )


def test_ticks_during_a_training_send_no_message() -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    assert [handle_all(service, tick_at(f"2026-11-23 23:{minute:02}")) for minute in range(30)] == [[]] * 30


def test_training_result_is_published() -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    runner.records = [TRAINED]
    (message,) = service.end_batch()
    assert isinstance(message, ModelTrained)
    assert (message.promoted, message.metrics, message.trained_to - message.trained_from) == (
        True,
        {"mae": 1.0},
        timedelta(minutes=1),
    )


@pytest.mark.parametrize(
    ("record", "text"), [(INSUFFICIENT, "not enough data yet"), (TrainingFailed(technical("no memory")), "no memory")]
)
def test_obstacle_is_published_as_progress_text(record: TrainingRecord, text: str) -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    runner.records = [record]
    (message,) = service.end_batch()
    assert isinstance(message, Progress)
    assert (message.step, message.of) == (0, 0)
    assert text in message.text.en


def test_insufficient_data_is_checked_again_each_night_at_three() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, INSUFFICIENT)
    handle_all(service, tick_at("2026-11-24 02:58"))
    assert len(runner.requests) == 1
    runner.records = [INSUFFICIENT, TrainingEnded()]
    handle_all(service, tick_at("2026-11-24 02:59"), tick_at("2026-11-24 03:00"), tick_at("2026-11-24 20:00"))
    assert len(runner.requests) == 2
    handle_all(service, tick_at("2026-11-25 07:13"))
    assert len(runner.requests) == 3


def test_yearly_training_is_on_the_first_of_the_configured_month() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, tick_at("2026-12-01 03:00"), tick_at("2026-12-31 03:00"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2027-01-01 02:59"), tick_at("2027-01-01 03:00"))
    assert len(runner.requests) == 2


def test_finished_import_starts_a_training() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, import_progress(step=2))
    assert len(runner.requests) == 1
    handle_all(service, import_progress())
    assert len(runner.requests) == 2


def test_import_that_ends_during_a_training_is_trained_on_after_it() -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    handle_all(service, import_progress())
    assert len(runner.requests) == 1
    runner.records = [TRAINED, TrainingEnded()]
    list(service.end_batch())
    assert len(runner.requests) == 2


def test_import_that_ended_before_the_start_is_trained_on_once() -> None:
    """The broker retains its end, and delivers it at the start and after each reconnection."""
    runner = FakeRunner()
    service = make_trainer(runner)
    list(service.start())
    handle_all(service, import_progress(minutes=-600), FIRST_TICK)
    runner.records = [TRAINED, TrainingEnded()]
    handle_all(service, import_progress(minutes=-600), *ticks(5), import_progress(minutes=-600))
    assert len(runner.requests) == 1


def test_import_that_is_repeated_later_is_trained_on_again() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, import_progress())
    runner.records = [TRAINED, TrainingEnded()]
    handle_all(service, import_progress(step=2), import_progress())
    assert len(runner.requests) == 3


def first_start(runner: FakeRunner, stored: list[int]) -> Trainer:
    """Return a started trainer; `stored` holds the stored parts of history."""
    service = Trainer("site1", ZONE, Training(), runner, START, make_selector(), lambda: bool(stored))
    assert list(service.start()) == []
    return service


def test_first_start_trains_once_after_all_history_is_stored() -> None:
    runner, stored = FakeRunner(), list[int]()
    service = first_start(runner, stored)
    (waiting,) = handle_all(service, FIRST_TICK, *ticks(2))
    assert isinstance(waiting, Progress)
    assert waiting.text.en == "not enough data yet: 0 of 35 days; next check at 03:00"
    for part in (1, 2):
        stored.append(part)
        assert handle_all(service, import_progress(step=part), *ticks(8)) == []
    assert runner.requests == []
    handle_all(service, import_progress())
    assert len(runner.requests) == 1
    runner.records = [TRAINED, TrainingEnded()]
    handle_all(service, *ticks(200), import_progress())
    assert len(runner.requests) == 1


def test_start_during_an_import_trains_once_after_it() -> None:
    """History is partly stored; the broker retains the newest progress of the import."""
    runner = FakeRunner()
    service = first_start(runner, [1])
    handle_all(service, import_progress(step=1), FIRST_TICK, *ticks(5), import_progress(step=2), *ticks(5))
    assert runner.requests == []
    handle_all(service, import_progress())
    runner.records = [TRAINED, TrainingEnded()]
    handle_all(service, *ticks(5))
    assert len(runner.requests) == 1


def test_nightly_training_waits_for_the_end_of_an_import() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, INSUFFICIENT)
    handle_all(service, tick_at("2026-11-24 02:58"), import_progress(step=2), tick_at("2026-11-24 03:00"))
    assert len(runner.requests) == 1
    handle_all(service, import_progress())
    assert len(runner.requests) == 2


def test_abandoned_import_is_not_waited_for() -> None:
    runner = FakeRunner()
    service = first_start(runner, [1])
    handle_all(service, import_progress(step=1), *ticks(ABANDONED_IMPORT_TICKS - 1))
    assert runner.requests == []
    handle_all(service, *ticks(1))
    assert len(runner.requests) == 1


def test_progress_of_other_jobs_changes_nothing() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, replace(import_progress(), job="backup"), replace(import_progress(), job="training"))
    assert len(runner.requests) == 1


def test_command_of_another_service_is_ignored() -> None:
    assert handle_all(started_trainer(FakeRunner()), Command("site1", "backup", "t-9")) == []


def test_in_process_runner_publishes_the_model_at_once() -> None:
    service = Trainer(
        "site1", ZONE, Training(automatic=False), InProcessRunner(lambda _: [TRAINED]), START, make_selector()
    )
    messages = handle_all(service, train_command())
    assert [type(message) for message in messages] == [Response, ModelTrained]


@pytest.mark.parametrize("year", [1970, 2027])
def test_start_with_a_wrong_clock_trains_at_the_time_of_the_first_tick(year: int) -> None:
    runner = FakeRunner()
    service = Trainer("site1", ZONE, Training(), runner, START.replace(year=year), make_selector())
    list(service.start())
    handle_all(service, tick_at("2026-11-24 10:04"), tick_at("2026-11-24 10:05"))
    assert [request.at for request in runner.requests] == [int(tick_at("2026-11-24 10:05").at.timestamp())]


def test_clock_jump_over_the_new_year_starts_no_training() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, TRAINED)
    handle_all(service, tick_at("2026-11-24 10:00"), tick_at("2027-01-01 03:00"), tick_at("2027-01-01 12:00"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2027-12-31 12:00"), tick_at("2028-01-01 03:00"))
    assert len(runner.requests) == 2


def use_command(version: str, **arguments: str) -> Command:
    return Command("site1", "use", "t-8", {"id": version, **arguments})


def test_operators_choice_is_published_before_the_response() -> None:
    messages = handle_all(started_trainer(FakeRunner()), use_command("old", channel="flow_rate"))
    assert [type(message) for message in messages] == [ModelTrained, Response]
    assert isinstance(messages[0], ModelTrained)
    assert (messages[0].id, messages[0].channel, messages[0].promoted) == ("old", "flow_rate", True)
    assert messages[1] == Response(
        site="site1",
        name="use",
        transaction="t-8",
        ok=True,
        text=LocalizedText("old 사용 중: 001 유량", "old is in use: 001 flow_rate"),
    )


def test_unknown_choice_is_refused_with_the_reason() -> None:
    assert handle_all(started_trainer(FakeRunner()), use_command("unknown")) == [
        Response(
            site="site1",
            name="use",
            transaction="t-8",
            ok=False,
            text=LocalizedText("unknown 모델이 없습니다", "there is no model unknown"),
        )
    ]


def test_choice_during_a_training_is_applied_after_its_promotion() -> None:
    runner = FakeRunner()
    service = training_trainer(runner)
    (message,) = handle_all(service, use_command("old"))
    assert isinstance(message, Response)
    assert message.ok
    runner.records = [TRAINED, TrainingEnded()]
    assert [message.id for message in service.end_batch() if isinstance(message, ModelTrained)] == ["m", "old"]


def test_refused_candidate_is_followed_by_another_training_a_week_later() -> None:
    runner = FakeRunner()
    service = started_trainer(runner, replace(TRAINED, promoted=False))
    handle_all(service, tick_at("2026-11-29 12:00"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2026-11-30 02:59"), tick_at("2026-11-30 12:00"), tick_at("2026-12-07 12:00"))
    assert len(runner.requests) == 2


def test_failed_training_is_repeated_the_next_night() -> None:
    runner = FakeRunner()
    service = started_trainer(
        runner,
        TrainingFailed(technical("exit code -9")),
        replace(TRAINED, promoted=False),
    )
    handle_all(service, tick_at("2026-11-24 02:58"))
    assert len(runner.requests) == 1
    handle_all(service, tick_at("2026-11-24 03:00"), tick_at("2026-11-24 12:00"))
    assert len(runner.requests) == 2


def test_processor_without_avx_is_reported_and_starts_no_training() -> None:
    runner, obstacle = FakeRunner(), problem("processor_without_avx")
    service = Trainer("site1", ZONE, Training(), runner, START, make_selector(), obstacle=obstacle)
    (waiting,) = service.start()
    assert isinstance(waiting, Progress)
    assert "no AVX" in waiting.text.en
    (answer,) = handle_all(service, FIRST_TICK, import_progress(), train_command())
    assert isinstance(answer, Response)
    assert (answer.ok, answer.text) == (False, obstacle.text)
    assert [item.code for item in service.problems()] == ["processor_without_avx"]
    assert runner.requests == []


def test_obstacle_is_no_problem_where_no_training_is_expected() -> None:
    training, obstacle = Training(automatic=False), problem("processor_without_avx")
    service = Trainer("site1", ZONE, training, FakeRunner(), START, make_selector(), obstacle=obstacle)
    assert service.problems() == []
