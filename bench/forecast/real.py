"""Real districts hour by hour: a forecast at each hour of the battle's four weeks, as by the forecaster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
from joblib import Parallel, delayed

from bench.forecast import baselines, wvr_forecaster
from bench.forecast.baselines import LightGbm
from bench.forecast.districts import before, districts, weeks
from bench.forecast.relative_scores import REPORTED_HORIZONS, RelativeScores, week_before
from services.trainer.training_data import HourlySeries
from shared.domain.hour_of_week import WEEK_HOURS
from shared.domain.series import Floats

HEADER = ("", "error over the previous week's, 1 / 24 / 168 h", "pinball loss over the same", "inside p10–p90, %")
REQUIRED = ("required", "0.66 / 0.82 / 0.90", "", "76–84")
CHANNEL = "flow_rate"
MSTL_STEP_HOURS = 24
"""Hours between forecasts of MSTL."""
Forecaster = Callable[[HourlySeries, int], Floats]
Columns = tuple[Floats, Floats, Floats]
"""Actuals, forecasts, and the previous week's values."""


def rows(jobs: int) -> Iterator[tuple[str, ...]]:
    """Yield means over the districts; of WVR the profile alone, which is used where no LSTM is promoted."""
    yield REQUIRED
    scores: dict[str, RelativeScores] = defaultdict(RelativeScores)
    for by_forecaster in Parallel(jobs)(delayed(_district)(district) for district in districts()):
        for name, by_horizon in by_forecaster.items():
            for horizon, columns in by_horizon.items():
                scores[name].add((CHANNEL, horizon), *columns)
    for name, score in scores.items():
        yield name, *list(score.row(CHANNEL))[:3]


def _district(district: HourlySeries) -> dict[str, dict[int, Columns]]:
    """Return the columns of a district by forecaster and horizon."""
    issues = [
        (name, forecaster, hour)
        for start in weeks()
        for name, (forecaster, step_hours) in _forecasters(district, start).items()
        for hour in range(start, start + WEEK_HOURS, step_hours)
    ]
    lines: dict[str, dict[int, list[tuple[float, Floats, float]]]] = defaultdict(lambda: defaultdict(list))
    values = district.values
    for name, forecaster, hour in issues:
        forecast = forecaster(district, hour)
        for horizon in REPORTED_HORIZONS:
            at = hour + horizon
            if at < len(values):
                lines[name][horizon].append((values[at], forecast[horizon], values[week_before(at, horizon)]))
    return {
        name: {horizon: _columns(rows) for horizon, rows in by_horizon.items()} for name, by_horizon in lines.items()
    }


def _columns(rows: list[tuple[float, Floats, float]]) -> Columns:
    actuals, forecasts, previous_week = zip(*rows, strict=True)
    return np.array(actuals), np.array(forecasts), np.array(previous_week)


def _forecasters(district: HourlySeries, start: int) -> dict[str, tuple[Forecaster, int]]:
    """Return each forecaster with the hours between its forecasts."""
    simple = {
        name: (baseline, MSTL_STEP_HOURS if name.startswith("MSTL") else 1)
        for name, baseline in baselines.SIMPLE_BASELINES.items()
    }
    known = before(district, start)
    light = LightGbm(known, len(known.values))
    light.values = baselines.fill_gaps(district.values)
    return simple | {"LightGBM on lags, untuned": (light.quantiles, 1), "**WVR**, profile alone": (_profile, 1)}


def _profile(series: HourlySeries, hour: int) -> Floats:
    return wvr_forecaster.quantiles(None, series, hour)
