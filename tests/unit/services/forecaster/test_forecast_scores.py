"""What forecasts are held against: every hour that has come, at three horizons, beside the profile."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from services.forecaster.service import Forecaster
from shared.contract.messages import SCORED_HORIZONS, Message, Prediction, Score
from shared.domain.features import ModelInputs
from shared.domain.series import HOUR, Floats
from tests.unit.factories import START, minute_at, tick
from tests.unit.services.forecaster.test_forecaster import (
    NOW,
    FakeHistory,
    FakeModel,
    FakeModelLoader,
    flow,
    handle_all,
    in_event_time,
    make_forecaster,
    minutes,
    series,
)

THREE_WEEKS_MINUTES = 3 * 7 * 24 * 60
FOLDER = "output/Learning_lstm/flow_rate/001"


def scores(predictions: list[Prediction], horizon: int, channel: str = "flow_rate") -> list[Score]:
    found = [score for one in predictions for score in one.scores]
    return [score for score in found if (score.horizon, score.channel) == (horizon, channel)]


class FakeHighModel(FakeModel):
    """2 m³/h above the profile."""

    def predict(self, inputs: ModelInputs) -> Floats:
        return np.full((len(inputs.base), 3), 2.0) / inputs.scale[:, None]


def with_model(stored: int = THREE_WEEKS_MINUTES) -> Forecaster:
    """A forecaster whose model of flow rate is 2 m³/h too high, after weeks of stored readings."""
    service = make_forecaster(FakeHistory(series(minutes(-stored, 0))), FakeModelLoader({FOLDER: FakeHighModel()}))
    list(service.start())
    return service


def test_an_hour_is_scored_with_the_first_forecast_after_it_at_each_horizon_that_was_issued() -> None:
    predictions = handle_all(make_forecaster(), minutes(0, 8 * 24 * 60 + 61))
    for horizon in SCORED_HORIZONS:
        found = scores(predictions, horizon)
        first = found[0]
        assert first.at >= minute_at(60 * horizon)
        assert [one.at for one in found] == [first.at + timedelta(hours=hour) for hour in range(len(found))]
    for one in predictions:
        assert {score.at for score in one.scores} <= {one.issued_at - timedelta(hours=1)}


def test_a_score_is_what_the_prediction_said_minus_what_came() -> None:
    predictions = handle_all(with_model(), minutes(0, 3 * 24 * 60 + 61))
    by_hour = {one.issued_at: one.flow_rate for one in predictions}
    for horizon in (1, 24):
        score = scores(predictions, horizon)[-1]
        week = by_hour[score.at - timedelta(hours=horizon)]
        minute = (score.at - START) / timedelta(minutes=1)
        came = sum(flow(minute + one) for one in range(60)) / 60
        assert score.model == "model-1"
        assert score.error == pytest.approx((week.p50[horizon] or 0) - came, abs=1e-4)
        assert score.error == pytest.approx(2, abs=0.3)
        assert score.profile_error == pytest.approx(0, abs=0.3)
        assert not score.inside
        assert score.coverage == 0
        assert score.mae == pytest.approx(2, abs=0.3)
        assert score.profile_mae == pytest.approx(0, abs=0.3)


def test_where_the_profile_forecasts_it_is_its_own_rival() -> None:
    score = scores(handle_all(with_model(), minutes(0, 3 * 24 * 60 + 61)), 24, "pressure")[-1]
    assert score.model == "profile"
    assert score.profile_error == score.error
    assert score.inside
    assert (score.hours, score.coverage) == (50, 1)


def test_errors_are_told_of_two_weeks() -> None:
    found = scores(handle_all(make_forecaster(), minutes(0, 16 * 24 * 60)), 1)
    assert [one.hours for one in found[:3]] == [1, 2, 3]
    assert found[-1].hours == 336
    assert found[-1].mae == pytest.approx(sum(abs(one.error) for one in found[-336:]) / 336, abs=1e-4)


def test_an_hour_without_readings_is_not_scored_and_one_whose_readings_come_late_is_scored_late() -> None:
    service = make_forecaster()
    handle_all(service, in_event_time(minutes(0, 48 * 60), 48 * 60))
    silent = handle_all(service, [tick(minute) for minute in range(48 * 60, 51 * 60)])
    assert [len(one.scores) for one in silent] == [0, 0, 0]
    late = handle_all(service, [*minutes(48 * 60, 52 * 60), tick(52 * 60 - 1)])
    hours = {score.at for score in late[-1].scores}
    assert hours == {minute_at(60 * hour) for hour in (48, 49, 50, 51)}


def test_what_never_comes_is_waited_for_a_week_and_no_longer() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 24 * 60))
    handle_all(service, minutes(9 * 24 * 60, 9 * 24 * 60 + 120))
    assert min(service.scorers["001"]._pending) >= NOW // HOUR + 24 + 24


@pytest.mark.parametrize("stop", [30 * 60, 30 * 60 + 17, 8 * 24 * 60 + 5])
def test_a_restart_loses_no_score(stop: int) -> None:
    shelf, before = FakeModelLoader({FOLDER: FakeHighModel()}), minutes(-THREE_WEEKS_MINUTES, 0)
    readings = minutes(0, stop + 300)
    never_off = make_forecaster(FakeHistory(series(before)), shelf)
    whole = [*(one for one in never_off.start() if isinstance(one, Prediction)), *handle_all(never_off, readings)]
    cut = minute_at(stop // 60 * 60)
    kept = [one for one in whole if one.issued_at <= cut]
    past = FakeHistory(series([*before, *readings[: stop + 1]]), int(kept[-1].issued_at.timestamp()), stored=kept)
    restarted = make_forecaster(past, shelf)
    again: list[Message] = list(restarted.start())
    assert [*again, *handle_all(restarted, readings[stop + 1 :])] == [one for one in whole if one.issued_at > cut]


def test_what_the_profile_would_have_said_can_be_made_again_for_two_weeks() -> None:
    service = make_forecaster(FakeHistory(series(minutes(-10 * 7 * 24 * 60, 0))))
    list(service.start())
    meter, hour = service.hourly_histories["001"], NOW // HOUR
    then = {ahead: meter.window_before(hour + ahead) for ahead in (0, 168, 336)}
    for ahead, (values, local_hours) in then.items():
        again = meter.window_before(hour + ahead)
        assert again[0]["flow_rate"] == pytest.approx(values["flow_rate"], nan_ok=True)
        assert again[1].tolist() == local_hours.tolist()
