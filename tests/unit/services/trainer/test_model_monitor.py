"""A model that has become worse than the profile stops serving by itself; one that has not stays."""

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
from shared.contract.messages import SCORED_HORIZONS, Forecast, Message, ModelTrained, Prediction, Score
from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.models.manifest import ModelError, read_manifest, read_network
from shared.models.registry import ModelRegistry
from shared.runtime.replay import Replay
from shared.settings import Settings, Training
from tests.unit.factories import reading, tick
from tests.unit.services.forecaster.test_forecast_scores import THREE_WEEKS_MINUTES
from tests.unit.services.forecaster.test_forecaster import FakeHistory, FakeModel, flow, minutes, series
from tests.unit.services.trainer.test_trainer import FakeRunner, FakeScoreHistory, tick_at
from tests.unit.shared.models.test_store import save_two_versions

ZONE = Settings().zone
MONDAY = datetime(2026, 11, 23, tzinfo=ZONE)
EMPTY = Forecast("profile")


def predictions(ratio: float, days: int, seed: int = 1, model: str = "b", first: datetime = MONDAY) -> list[Prediction]:
    """Hourly ones whose model has so many times the profile's error, both with a day's own luck."""
    return list(_predictions(ratio, days, np.random.default_rng(seed), model, first))


def _predictions(
    ratio: float, days: int, random: np.random.Generator, model: str, first: datetime
) -> Iterator[Prediction]:
    own, usual = ratio * random.lognormal(0, 0.3, (days, 3)), random.lognormal(0, 0.3, (days, 3))
    for hour in range(24 * days):
        at = first + timedelta(hours=hour)
        scores = tuple(
            Score(at, "flow_rate", horizon, model, _error(own, hour, k, random), True,
                  _error(usual, hour, k, random), 1, 1.0, 0.8, 1.0)
            for k, horizon in enumerate(SCORED_HORIZONS)
        )  # fmt: skip
        yield Prediction("site1", "001", at + timedelta(hours=1), Forecast(model), EMPTY, scores)


def _error(
    daily: np.ndarray[tuple[int, ...], np.dtype[np.float64]], hour: int, k: int, random: np.random.Generator
) -> float:
    return float(daily[hour // 24, k] * random.normal())


def degradations(found: list[Prediction], watch: ModelMonitor | None = None) -> list[tuple[datetime, Degradation]]:
    watch = watch or ModelMonitor()
    return [(one.issued_at, this) for one in found for this in watch.on_prediction(one)]


def test_a_model_that_is_worse_for_two_weeks_is_found_on_the_fifteenth_night() -> None:
    at, found = degradations(predictions(2.0, 20))[0]
    assert timedelta(days=14) < at - MONDAY < timedelta(days=17)
    assert at.hour == 3
    assert (found.sensor, found.channel) == ("001", "flow_rate")
    assert "b was worse than the profile for two weeks: mean error " in found.reason


@pytest.mark.parametrize("ratio", [0.7, 0.9])
def test_a_better_model_serves_on(ratio: float) -> None:
    assert [degradations(predictions(ratio, 60, seed)) for seed in range(5)] == [[]] * 5


def test_luck_rarely_puts_an_equal_model_aside() -> None:
    assert sum(bool(degradations(predictions(1.0, 30, seed))) for seed in range(20)) <= 4


def test_a_new_model_is_not_judged_by_what_the_one_before_it_said() -> None:
    watch = ModelMonitor()
    degradations(predictions(2.0, 13), watch)
    assert degradations(predictions(2.0, 12, model="c", first=MONDAY + timedelta(days=13)), watch) == []


def test_hours_without_a_reading_are_no_evidence() -> None:
    found = [one for one in predictions(2.0, 20) if one.issued_at.hour in (3, 9, 15, 21)]
    assert degradations(found) == []


def trainer(
    data: Path, runner: FakeRunner, past: FakeScoreHistory, automatic: bool = True
) -> tuple[Trainer, ModelSelector]:
    keeper = ModelSelector("site1", ZONE, ModelRegistry(data), past)
    return Trainer("site1", ZONE, Training(automatic=automatic), runner, MONDAY, keeper), keeper


def start_and_finish_training(service: Trainer, runner: FakeRunner) -> list[Message]:
    """What is said until the first training has ended, without a word."""
    said = list(service.start())
    runner.records = [TrainingEnded()]
    return [*said, *service.end_batch()]


def test_the_profile_takes_over_is_told_and_a_training_is_asked_for(tmp_path: Path) -> None:
    place, runner = save_two_versions(tmp_path), FakeRunner()
    service, keeper = trainer(tmp_path, runner, FakeScoreHistory())
    start_and_finish_training(service, runner)
    said = [message for one in predictions(2.0, 20) for message in service.handle(one)]
    (told,) = said
    assert isinstance(told, ModelTrained)
    assert (told.id, told.channel, told.promoted, told.path) == (
        "profile",
        "flow_rate",
        True,
        "output/Learning_lstm/flow_rate/001",
    )
    assert read_manifest(place)["id"] == "profile"
    assert [(plan.sensors, plan.channels) for plan in runner.requests] == [((), ()), (("001",), ("flow_rate",))]
    assert (
        keeper.status_text == "the forecasts of 001 flow_rate follow the profile: their model was worse for two weeks"
    )


def test_a_restart_in_the_middle_loses_nothing_and_the_note_stays_until_a_model_serves(tmp_path: Path) -> None:
    place, found = save_two_versions(tmp_path), predictions(2.0, 20)
    past = FakeScoreHistory([score for one in found[: 7 * 24] for score in one.scores])
    service, keeper = trainer(tmp_path, FakeRunner(), past, automatic=False)
    list(service.start())
    told = [message for one in found[7 * 24 :] for message in service.handle(one)]
    assert [one.at for one in told if isinstance(one, ModelTrained)] == [degradations(found)[0][0]]
    service, keeper = trainer(tmp_path, FakeRunner(), past, automatic=False)
    assert [one.id for one in service.start() if isinstance(one, ModelTrained)] == ["profile"]
    assert keeper.status_text
    ModelRegistry(tmp_path).activate("a", 60, "put into use by the operator")
    service, keeper = trainer(tmp_path, FakeRunner(), past, automatic=False)
    assert [one.id for one in service.start() if isinstance(one, ModelTrained)] == ["a"]
    assert keeper.status_text == ""
    assert read_manifest(place)["id"] == "a"


def test_nothing_is_exchanged_while_a_training_runs_but_the_night_after(tmp_path: Path) -> None:
    place, runner = save_two_versions(tmp_path), FakeRunner()
    service, _ = trainer(tmp_path, runner, FakeScoreHistory())
    list(service.start())
    found = predictions(2.0, 20)
    assert [message for one in found[: 15 * 24] for message in service.handle(one)] == []
    runner.records = [TrainingEnded()]
    list(service.handle(tick_at("2026-12-08 12:00")))
    told = [message for one in found[15 * 24 :] for message in service.handle(one)]
    assert [type(one) for one in told] == [ModelTrained]
    assert read_manifest(place)["id"] == "profile"
    assert runner.requests[-1] == TrainingRequest(runner.requests[-1].at, ("001",), ("flow_rate",))


def test_in_event_time_the_forecaster_goes_back_to_the_profile_and_says_so(tmp_path: Path) -> None:
    """Both services on one bus, as in ./wvr replay: a model that is 2 m³/h too high serves for two weeks."""
    place = save_two_versions(tmp_path)
    heard = RecordingService()
    past = FakeHistory(series(minutes(-THREE_WEEKS_MINUTES, 0)))
    service, _ = trainer(tmp_path, FakeRunner(), FakeScoreHistory(), automatic=False)
    stage = Replay([forecaster_of(tmp_path, past), service, heard], NullService())
    for minute in range(17 * 24 * 60):
        stage.publish(reading(minute, flow(minute)))
        stage.publish(tick(minute))
    models = [one.flow_rate.model for one in heard.messages if isinstance(one, Prediction)]
    told = [one for one in heard.messages if isinstance(one, ModelTrained) and one.id == "profile"]
    assert models[1] == "b"
    assert len(told) == 1
    changed = models.index("profile", 1)
    assert models[changed:] == ["profile"] * (len(models) - changed)
    assert 14 * 24 < changed < 17 * 24
    assert read_manifest(place)["reason"] == told[0].reason


def forecaster_of(data: Path, past: FakeHistory) -> Forecaster:
    def load(path: str, checksum: str = "") -> FakeModel | None:  # noqa: ARG001
        with suppress(ModelError):
            return FakeModel(read_network(data / path)[1]["id"])
        return None

    return Forecaster("site1", ZONE, past, load, NO_HOLIDAYS)


class RecordingService:
    """Hears what both say."""

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
    """Stores nothing."""

    name: ClassVar[str] = "nothing"
    consumes: ClassVar[tuple[type[Message], ...]] = ()
