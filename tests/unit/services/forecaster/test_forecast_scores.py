"""Scores of each complete hour at three horizons, beside those of the profile."""

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
    all_scores = [score for prediction in predictions for score in prediction.scores]
    return [score for score in all_scores if (score.horizon, score.channel) == (horizon, channel)]


class FakeHighModel(FakeModel):
    """Predicts 2 m³/h more than the profile."""

    def predict(self, inputs: ModelInputs) -> Floats:
        return np.full((len(inputs.base), 3), 2.0) / inputs.scale[:, None]


def with_model(stored: int = THREE_WEEKS_MINUTES) -> Forecaster:
    """Return a forecaster whose flow rate model is 2 m³/h too high, after weeks of stored readings."""
    service = make_forecaster(FakeHistory(series(minutes(-stored, 0))), FakeModelLoader({FOLDER: FakeHighModel()}))
    list(service.start())
    return service


def test_hour_is_scored_at_each_issued_horizon_with_the_next_forecast() -> None:
    predictions = handle_all(make_forecaster(), minutes(0, 8 * 24 * 60 + 61))
    for horizon in SCORED_HORIZONS:
        of_horizon = scores(predictions, horizon)
        first = of_horizon[0]
        assert first.at >= minute_at(60 * horizon)
        assert [score.at for score in of_horizon] == [
            first.at + timedelta(hours=hour) for hour in range(len(of_horizon))
        ]
    for prediction in predictions:
        assert {score.at for score in prediction.scores} <= {prediction.issued_at - timedelta(hours=1)}


def test_score_error_is_prediction_minus_actual() -> None:
    predictions = handle_all(with_model(), minutes(0, 3 * 24 * 60 + 61))
    by_hour = {prediction.issued_at: prediction.flow_rate for prediction in predictions}
    for horizon in (1, 24):
        score = scores(predictions, horizon)[-1]
        forecast = by_hour[score.at - timedelta(hours=horizon)]
        minute = (score.at - START) / timedelta(minutes=1)
        actual = sum(flow(minute + offset) for offset in range(60)) / 60
        assert score.model == "model-1"
        assert score.error == pytest.approx((forecast.p50[horizon] or 0) - actual, abs=1e-4)
        assert score.error == pytest.approx(2, abs=0.3)
        assert score.profile_error == pytest.approx(0, abs=0.3)
        assert not score.inside
        assert score.coverage == 0
        assert score.mae == pytest.approx(2, abs=0.3)
        assert score.profile_mae == pytest.approx(0, abs=0.3)


def test_profile_forecast_has_equal_profile_error() -> None:
    score = scores(handle_all(with_model(), minutes(0, 3 * 24 * 60 + 61)), 24, "pressure")[-1]
    assert score.model == "profile"
    assert score.profile_error == score.error
    assert score.inside
    assert (score.hours, score.coverage) == (50, 1)


def test_mean_errors_cover_two_weeks() -> None:
    all_scores = scores(handle_all(make_forecaster(), minutes(0, 16 * 24 * 60)), 1)
    assert [score.hours for score in all_scores[:3]] == [1, 2, 3]
    assert all_scores[-1].hours == 336
    assert all_scores[-1].mae == pytest.approx(sum(abs(score.error) for score in all_scores[-336:]) / 336, abs=1e-4)


def test_missing_hour_is_not_scored_and_a_late_one_is_scored_late() -> None:
    service = make_forecaster()
    handle_all(service, in_event_time(minutes(0, 48 * 60), 48 * 60))
    silent = handle_all(service, [tick(minute) for minute in range(48 * 60, 51 * 60)])
    assert [len(prediction.scores) for prediction in silent] == [0, 0, 0]
    late = handle_all(service, [*minutes(48 * 60, 52 * 60), tick(52 * 60 - 1)])
    hours = {score.at for score in late[-1].scores}
    assert hours == {minute_at(60 * hour) for hour in (48, 49, 50, 51)}


def test_pending_forecasts_are_dropped_after_a_week() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 24 * 60))
    handle_all(service, minutes(9 * 24 * 60, 9 * 24 * 60 + 120))
    assert min(service.scorers["001"]._pending) >= NOW // HOUR + 24 + 24


@pytest.mark.parametrize("stop", [30 * 60, 30 * 60 + 17, 8 * 24 * 60 + 5])
def test_restart_loses_no_score(stop: int) -> None:
    loader, earlier = FakeModelLoader({FOLDER: FakeHighModel()}), minutes(-THREE_WEEKS_MINUTES, 0)
    readings = minutes(0, stop + 300)
    reference = make_forecaster(FakeHistory(series(earlier)), loader)
    without_stop = [
        *(prediction for prediction in reference.start() if isinstance(prediction, Prediction)),
        *handle_all(reference, readings),
    ]
    cut = minute_at(stop // 60 * 60)
    stored_predictions = [prediction for prediction in without_stop if prediction.issued_at <= cut]
    history = FakeHistory(
        series([*earlier, *readings[: stop + 1]]),
        int(stored_predictions[-1].issued_at.timestamp()),
        stored=stored_predictions,
    )
    restarted = make_forecaster(history, loader)
    issued_at_start: list[Message] = list(restarted.start())
    assert [*issued_at_start, *handle_all(restarted, readings[stop + 1 :])] == [
        prediction for prediction in without_stop if prediction.issued_at > cut
    ]


def test_profile_forecast_can_be_recomputed_for_two_weeks() -> None:
    service = make_forecaster(FakeHistory(series(minutes(-10 * 7 * 24 * 60, 0))))
    list(service.start())
    hourly, hour = service.hourly_histories["001"], NOW // HOUR
    original = {ahead: hourly.window_before(hour + ahead) for ahead in (0, 168, 336)}
    for ahead, (values, local_hours) in original.items():
        recomputed = hourly.window_before(hour + ahead)
        assert recomputed[0]["flow_rate"] == pytest.approx(values["flow_rate"], nan_ok=True)
        assert recomputed[1].tolist() == local_hours.tolist()
