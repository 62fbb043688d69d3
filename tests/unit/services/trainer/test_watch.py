"""A model that has become worse than the profile stops serving by itself; one that has not stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from services.forecaster.manifest import ModelError, read_manifest, read_model
from services.forecaster.service import Forecaster
from services.trainer.keeper import Keeper
from services.trainer.plan import Ended, Plan
from services.trainer.service import Trainer
from services.trainer.shelf import Shelf
from services.trainer.watch import Watch, Worse
from shared.contract.messages import SCORED_HORIZONS, Forecast, Message, ModelTrained, Prediction, Score
from shared.domain.calendar import NO_HOLIDAYS
from shared.runtime.replay import Replay
from shared.settings import Settings, Training
from tests.unit.factories import reading, tick
from tests.unit.services.forecaster.test_forecaster import ConstantModel, StoredPast, flow, minutes, series
from tests.unit.services.forecaster.test_scores import WEEKS
from tests.unit.services.trainer.test_model_folder import two_kept
from tests.unit.services.trainer.test_trainer import WrittenPast, WrittenRunner, clock

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


def worse(found: list[Prediction], watch: Watch | None = None) -> list[tuple[datetime, Worse]]:
    watch = watch or Watch()
    return [(one.issued_at, this) for one in found for this in watch.take(one)]


def test_a_model_that_is_worse_for_two_weeks_is_found_on_the_fifteenth_night() -> None:
    at, found = worse(predictions(2.0, 20))[0]
    assert timedelta(days=14) < at - MONDAY < timedelta(days=17)
    assert at.hour == 3
    assert (found.sensor, found.channel) == ("001", "flow_rate")
    assert "b was worse than the profile for two weeks: mean error " in found.why


@pytest.mark.parametrize("ratio", [0.7, 0.9])
def test_a_better_model_serves_on(ratio: float) -> None:
    assert [worse(predictions(ratio, 60, seed)) for seed in range(5)] == [[]] * 5


def test_luck_rarely_puts_an_equal_model_aside() -> None:
    assert sum(bool(worse(predictions(1.0, 30, seed))) for seed in range(20)) <= 4


def test_a_new_model_is_not_judged_by_what_the_one_before_it_said() -> None:
    watch = Watch()
    worse(predictions(2.0, 13), watch)
    assert worse(predictions(2.0, 12, model="c", first=MONDAY + timedelta(days=13)), watch) == []


def test_hours_without_a_reading_are_no_evidence() -> None:
    found = [one for one in predictions(2.0, 20) if one.issued_at.hour in (3, 9, 15, 21)]
    assert worse(found) == []


def trainer(data: Path, runner: WrittenRunner, past: WrittenPast, automatic: bool = True) -> tuple[Trainer, Keeper]:
    keeper = Keeper("site1", ZONE, Shelf(data), past)
    return Trainer("site1", ZONE, Training(automatic=automatic), runner, MONDAY, keeper), keeper


def begun(service: Trainer, runner: WrittenRunner) -> list[Message]:
    """What is said until the first training has ended, without a word."""
    said = list(service.start())
    runner.records = [Ended()]
    return [*said, *service.settle()]


def test_the_profile_takes_over_is_told_and_a_training_is_asked_for(tmp_path: Path) -> None:
    place, runner = two_kept(tmp_path), WrittenRunner()
    service, keeper = trainer(tmp_path, runner, WrittenPast())
    begun(service, runner)
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
    assert [(plan.sensors, plan.channels) for plan in runner.begun] == [((), ()), (("001",), ("flow_rate",))]
    assert keeper.note == "the forecasts of 001 flow_rate follow the profile: their model was worse for two weeks"


def test_a_restart_in_the_middle_loses_nothing_and_the_note_stays_until_a_model_serves(tmp_path: Path) -> None:
    place, found = two_kept(tmp_path), predictions(2.0, 20)
    past = WrittenPast([score for one in found[: 7 * 24] for score in one.scores])
    service, keeper = trainer(tmp_path, WrittenRunner(), past, automatic=False)
    list(service.start())
    told = [message for one in found[7 * 24 :] for message in service.handle(one)]
    assert [one.at for one in told if isinstance(one, ModelTrained)] == [worse(found)[0][0]]
    service, keeper = trainer(tmp_path, WrittenRunner(), past, automatic=False)
    assert [one.id for one in service.start() if isinstance(one, ModelTrained)] == ["profile"]
    assert keeper.note
    Shelf(tmp_path).use("a", 60, "put into use by the operator")
    service, keeper = trainer(tmp_path, WrittenRunner(), past, automatic=False)
    assert [one.id for one in service.start() if isinstance(one, ModelTrained)] == ["a"]
    assert keeper.note == ""
    assert read_manifest(place)["id"] == "a"


def test_nothing_is_exchanged_while_a_training_runs_but_the_night_after(tmp_path: Path) -> None:
    place, runner = two_kept(tmp_path), WrittenRunner()
    service, _ = trainer(tmp_path, runner, WrittenPast())
    list(service.start())
    found = predictions(2.0, 20)
    assert [message for one in found[: 15 * 24] for message in service.handle(one)] == []
    runner.records = [Ended()]
    list(service.handle(clock("2026-12-08 12:00")))
    told = [message for one in found[15 * 24 :] for message in service.handle(one)]
    assert [type(one) for one in told] == [ModelTrained]
    assert read_manifest(place)["id"] == "profile"
    assert runner.begun[-1] == Plan(runner.begun[-1].at, ("001",), ("flow_rate",))


def test_in_event_time_the_forecaster_goes_back_to_the_profile_and_says_so(tmp_path: Path) -> None:
    """Both services on one bus, as in ./wvr replay: a model that is 2 m³/h too high serves for two weeks."""
    place = two_kept(tmp_path)
    heard = Listener()
    past = StoredPast(series(minutes(-WEEKS, 0)))
    service, _ = trainer(tmp_path, WrittenRunner(), WrittenPast(), automatic=False)
    stage = Replay([forecaster_of(tmp_path, past), service, heard], Nothing())
    for minute in range(17 * 24 * 60):
        stage.say(reading(minute, flow(minute)))
        stage.say(tick(minute))
    models = [one.flow_rate.model for one in heard.said if isinstance(one, Prediction)]
    told = [one for one in heard.said if isinstance(one, ModelTrained) and one.id == "profile"]
    assert models[1] == "b"
    assert len(told) == 1
    changed = models.index("profile", 1)
    assert models[changed:] == ["profile"] * (len(models) - changed)
    assert 14 * 24 < changed < 17 * 24
    assert read_manifest(place)["reason"] == told[0].reason


def forecaster_of(data: Path, past: StoredPast) -> Forecaster:
    def load(path: str, checksum: str = "") -> ConstantModel | None:  # noqa: ARG001
        with suppress(ModelError):
            return ConstantModel(read_model(data / path)[1]["id"])
        return None

    return Forecaster("site1", ZONE, past, load, NO_HOLIDAYS)


class Listener:
    """Hears what both say."""

    name: ClassVar[str] = "listener"
    consumes: ClassVar[tuple[type[Message], ...]] = (Prediction, ModelTrained)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.said: list[Message] = []

    def start(self) -> list[Message]:
        return []

    def handle(self, message: Message) -> list[Message]:
        self.said.append(message)
        return []

    def settle(self) -> list[Message]:
        return []


class Nothing(Listener):
    """Stores nothing."""

    name: ClassVar[str] = "nothing"
    consumes: ClassVar[tuple[type[Message], ...]] = ()
