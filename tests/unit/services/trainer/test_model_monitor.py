"""A model that has become worse than the profile is demoted; any other stays active."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from services.forecaster.service import Forecaster
from services.trainer.model_monitor import Degradation, ModelMonitor
from services.trainer.model_selection import ModelSelector
from services.trainer.service import Trainer
from services.trainer.training_protocol import TrainingEnded, TrainingRequest
from shared.contract.messages import (
    SCORED_HORIZONS,
    Forecast,
    LocalizedText,
    Message,
    ModelTrained,
    Prediction,
    Score,
    Tick,
)
from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.models.manifest import ModelError, read_manifest, read_network
from shared.models.model_messages import OPERATOR_REASON
from shared.models.registry import ModelRegistry
from shared.runtime.replay import Replay
from shared.settings import Settings
from shared.settings.sections import Training
from tests.unit.factories import reading, tick
from tests.unit.services.forecaster.test_forecast_scores import THREE_WEEKS_MINUTES
from tests.unit.services.forecaster.test_forecaster import FakeHistory, FakeModel, flow, minutes, series
from tests.unit.services.trainer.test_trainer import FakeRunner, FakeScoreHistory, tick_at
from tests.unit.shared.models.test_store import save_two_versions

ZONE = Settings().zone
MONDAY = datetime(2026, 11, 23, tzinfo=ZONE)
FIRST_TICK = Tick("site1", MONDAY - timedelta(minutes=1))
EMPTY = Forecast("profile")


def predictions(ratio: float, days: int, seed: int = 1, model: str = "b", first: datetime = MONDAY) -> list[Prediction]:
    """Return hourly predictions whose model has `ratio` times the profile's error, both with daily noise."""
    return list(_predictions(ratio, days, np.random.default_rng(seed), model, first))


def _predictions(
    ratio: float, days: int, random: np.random.Generator, model: str, first: datetime
) -> Iterator[Prediction]:
    own, profile = ratio * random.lognormal(0, 0.3, (days, 3)), random.lognormal(0, 0.3, (days, 3))
    for hour in range(24 * days):
        at = first + timedelta(hours=hour)
        scores = tuple(
            Score(
                at=at,
                channel="flow_rate",
                horizon=horizon,
                model=model,
                error=_error(own, hour, k, random),
                inside=True,
                profile_error=_error(profile, hour, k, random),
                hours=1,
                mae=1.0,
                coverage=0.8,
                profile_mae=1.0,
            )
            for k, horizon in enumerate(SCORED_HORIZONS)
        )
        yield Prediction(
            site="site1",
            sensor="001",
            issued_at=at + timedelta(hours=1),
            flow_rate=Forecast(model),
            pressure=EMPTY,
            scores=scores,
        )


def _error(
    daily: np.ndarray[tuple[int, ...], np.dtype[np.float64]], hour: int, k: int, random: np.random.Generator
) -> float:
    return float(daily[hour // 24, k] * random.normal())


def degradations(
    predictions: list[Prediction], monitor: ModelMonitor | None = None
) -> list[tuple[datetime, Degradation]]:
    monitor = monitor or ModelMonitor()
    return [
        (prediction.issued_at, degradation)
        for prediction in predictions
        for degradation in monitor.on_prediction(prediction)
    ]


def test_worse_model_is_detected_on_the_fifteenth_night() -> None:
    at, degradation = degradations(predictions(2.0, 20))[0]
    assert timedelta(days=14) < at - MONDAY < timedelta(days=17)
    assert at.hour == 3
    assert (degradation.sensor, degradation.channel) == ("001", "flow_rate")
    assert "b was worse than the profile for two weeks: mean error " in degradation.reason.en


@pytest.mark.parametrize("ratio", [0.7, 0.9])
def test_better_model_stays_active(ratio: float) -> None:
    assert [degradations(predictions(ratio, 60, seed)) for seed in range(5)] == [[]] * 5


def test_equal_model_is_rarely_demoted() -> None:
    assert sum(bool(degradations(predictions(1.0, 30, seed))) for seed in range(20)) <= 4


def test_new_model_is_not_evaluated_by_scores_of_the_previous_one() -> None:
    monitor = ModelMonitor()
    degradations(predictions(2.0, 13), monitor)
    assert degradations(predictions(2.0, 12, model="c", first=MONDAY + timedelta(days=13)), monitor) == []


def test_too_few_scored_hours_give_no_result() -> None:
    hourly = [prediction for prediction in predictions(2.0, 20) if prediction.issued_at.hour in (3, 9, 15, 21)]
    assert degradations(hourly) == []


def trainer(
    data: Path, runner: FakeRunner, history: FakeScoreHistory, automatic: bool = True
) -> tuple[Trainer, ModelSelector]:
    selector = ModelSelector("site1", ZONE, ModelRegistry(data), history)
    return Trainer("site1", ZONE, Training(automatic=automatic), runner, MONDAY, selector), selector


def start_and_finish_training(service: Trainer, runner: FakeRunner) -> list[Message]:
    """Return the messages until the first training has ended."""
    messages = [*service.start(), *service.handle(FIRST_TICK)]
    runner.records = [TrainingEnded()]
    return [*messages, *service.end_batch()]


def test_demotion_is_reported_and_requests_a_training(tmp_path: Path) -> None:
    folder, runner = save_two_versions(tmp_path), FakeRunner()
    service, selector = trainer(tmp_path, runner, FakeScoreHistory())
    start_and_finish_training(service, runner)
    messages = [message for prediction in predictions(2.0, 20) for message in service.handle(prediction)]
    (message,) = messages
    assert isinstance(message, ModelTrained)
    assert (message.id, message.channel, message.promoted, message.path) == (
        "profile",
        "flow_rate",
        True,
        "output/Learning_lstm/flow_rate/001",
    )
    assert read_manifest(folder)["id"] == "profile"
    assert [(request.sensors, request.channels) for request in runner.requests] == [
        ((), ()),
        (("001",), ("flow_rate",)),
    ]
    (deactivated,) = selector.problems()
    assert deactivated.code == "model_deactivated"
    assert deactivated.text == LocalizedText(
        "001 유량 예측에 프로파일을 사용합니다: 모델이 2주 동안 프로파일보다 나빴습니다",
        "the forecasts of 001 flow_rate follow the profile: their model was worse for two weeks",
    )


def test_restart_keeps_scores_and_problem_until_a_model_is_active(tmp_path: Path) -> None:
    folder, hourly = save_two_versions(tmp_path), predictions(2.0, 20)
    history = FakeScoreHistory([score for prediction in hourly[: 7 * 24] for score in prediction.scores])
    service, selector = trainer(tmp_path, FakeRunner(), history, automatic=False)
    list(service.start())
    messages = [message for prediction in hourly[7 * 24 :] for message in service.handle(prediction)]
    assert [message.at for message in messages if isinstance(message, ModelTrained)] == [degradations(hourly)[0][0]]
    service, selector = trainer(tmp_path, FakeRunner(), history, automatic=False)
    assert [message.id for message in service.start() if isinstance(message, ModelTrained)] == ["profile"]
    assert [entry.code for entry in selector.problems()] == ["model_deactivated"]
    ModelRegistry(tmp_path).activate("a", 60, OPERATOR_REASON)
    service, selector = trainer(tmp_path, FakeRunner(), history, automatic=False)
    assert [message.id for message in service.start() if isinstance(message, ModelTrained)] == ["a"]
    assert selector.problems() == []
    assert read_manifest(folder)["id"] == "a"


def test_demotion_waits_for_the_end_of_a_training(tmp_path: Path) -> None:
    folder, runner = save_two_versions(tmp_path), FakeRunner()
    service, _ = trainer(tmp_path, runner, FakeScoreHistory())
    assert [*service.start(), *service.handle(FIRST_TICK)] != []
    hourly = predictions(2.0, 20)
    assert [message for prediction in hourly[: 15 * 24] for message in service.handle(prediction)] == []
    runner.records = [TrainingEnded()]
    list(service.handle(tick_at("2026-12-08 12:00")))
    messages = [message for prediction in hourly[15 * 24 :] for message in service.handle(prediction)]
    assert [type(message) for message in messages] == [ModelTrained]
    assert read_manifest(folder)["id"] == "profile"
    assert runner.requests[-1] == TrainingRequest(runner.requests[-1].at, ("001",), ("flow_rate",))


def test_in_event_time_the_forecaster_returns_to_the_profile(tmp_path: Path) -> None:
    """Both services on one bus, as in ./wvr replay: a model that is 2 m³/h too high is active for two weeks."""
    folder = save_two_versions(tmp_path)
    recorder = RecordingService()
    history = FakeHistory(series(minutes(-THREE_WEEKS_MINUTES, 0)))
    service, _ = trainer(tmp_path, FakeRunner(), FakeScoreHistory(), automatic=False)
    replay = Replay([forecaster_of(tmp_path, history), service, recorder], NullService())
    for minute in range(17 * 24 * 60):
        replay.publish(reading(minute, flow(minute)))
        replay.publish(tick(minute))
    models = [message.flow_rate.model for message in recorder.messages if isinstance(message, Prediction)]
    demotions = [
        message for message in recorder.messages if isinstance(message, ModelTrained) and message.id == "profile"
    ]
    assert models[1] == "b"
    assert len(demotions) == 1
    changed = models.index("profile", 1)
    assert models[changed:] == ["profile"] * (len(models) - changed)
    assert 14 * 24 < changed < 17 * 24
    assert read_manifest(folder)["reason"] == demotions[0].reason.en


def forecaster_of(data: Path, history: FakeHistory) -> Forecaster:
    def load(path: str, checksum: str = "") -> FakeModel | None:  # noqa: ARG001
        with suppress(ModelError):
            return FakeModel(read_network(data / path)[1]["id"])
        return None

    return Forecaster("site1", ZONE, history, load, NO_HOLIDAYS)


class RecordingService:
    """Records predictions and models."""

    name: ClassVar[str] = "listener"
    consumes: ClassVar[tuple[type[Message], ...]] = (Prediction, ModelTrained)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def start(self) -> list[Message]:
        return []

    def handle(self, message: Message) -> list[Message]:
        self.messages.append(message)
        return []

    def end_batch(self) -> list[Message]:
        return []


class NullService(RecordingService):
    """Consumes no message."""

    name: ClassVar[str] = "nothing"
    consumes: ClassVar[tuple[type[Message], ...]] = ()
