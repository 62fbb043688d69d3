from __future__ import annotations

import numpy as np
import pytest

from bench.forecast import baselines
from bench.forecast.districts import holidays, indicators
from bench.forecast.relative_scores import RelativeScores
from services.trainer.training_data import HourlySeries
from shared.domain.hour_of_week import EPOCH_MONDAY_HOUR
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats

NOW = 9 * 168


def make_series(values: Floats) -> HourlySeries:
    local = EPOCH_MONDAY_HOUR + 2900 * 168 + np.arange(len(values) + FORECAST_HOURS)
    return HourlySeries("001", "flow_rate", 0, values, local, len(values) // 24, holidays())


def demand() -> Floats:
    return np.asarray(50 + 20 * np.sin(np.arange(NOW + FORECAST_HOURS) * np.pi / 84), dtype=np.float64)


@pytest.mark.parametrize(
    "name", [name for name in baselines.SIMPLE_BASELINES if name not in ("last value", "MSTL with AutoETS")]
)
def test_repeating_week_is_forecast_by_all_weekly_baselines(name: str) -> None:
    values = demand()
    assert baselines.SIMPLE_BASELINES[name](make_series(values[:NOW]), NOW) == pytest.approx(values[NOW:])


@pytest.mark.parametrize("name", [name for name in baselines.SIMPLE_BASELINES if name != "MSTL with AutoETS"])
def test_baselines_do_not_see_the_future_and_fill_gaps(name: str) -> None:
    values = demand()
    values[NOW - 50 : NOW - 20] = np.nan
    before = baselines.SIMPLE_BASELINES[name](make_series(values), NOW)
    values[NOW:] = 1e6
    assert np.array_equal(baselines.SIMPLE_BASELINES[name](make_series(values), NOW), before)
    assert np.isfinite(before).all()


def test_indicators_cover_first_day_worst_hour_and_later_days() -> None:
    forecast = np.zeros(168)
    forecast[:24] = 1.0
    forecast[5], forecast[24:] = 4.0, 2.0
    actuals = np.zeros(168)
    actuals[7] = actuals[100] = np.nan
    assert indicators(actuals, forecast) == pytest.approx([(22 + 4) / 23, 4.0, 2.0])


def test_scores_are_relative_to_the_previous_week() -> None:
    score, actuals = RelativeScores(), np.array([10.0, 10.0, np.nan, 10.0])
    forecasts = np.array([[8.0, 9.0, 11.0], [9.5, 10.0, 11.0], [0.0, 0.0, 0.0], [11.0, 12.0, 13.0]])
    score.add(("flow_rate", 1), actuals, forecasts, np.full(4, 8.0))
    assert score.mae_ratios["flow_rate", 1] == [pytest.approx(0.5)]
    assert score.coverages["flow_rate", 1] == [pytest.approx(2 / 3)]
    assert score.pinball_ratios["flow_rate", 1] == [pytest.approx((0.2 + 0.5 + 0.1 + 0.05 + 0.1 + 0.9 + 1.0 + 0.3) / 6)]
