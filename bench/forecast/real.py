"""Real districts hour by hour: a week forecast at each hour of the battle's four weeks, as the forecaster does."""

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
REQUIRED = ("must", "0.66 / 0.82 / 0.90", "", "76–84")
CHANNEL = "flow_rate"
MSTL_STEP_HOURS = 24
"""Of so many forecasts MSTL makes one."""
Forecaster = Callable[[HourlySeries, int], Floats]


def rows(jobs: int) -> Iterator[tuple[str, ...]]:
    """Means over districts; WVR's profile alone, which serves where no LSTM is promoted."""
    yield REQUIRED
    scores: dict[str, RelativeScores] = defaultdict(RelativeScores)
    for found in Parallel(jobs)(delayed(_district)(one) for one in districts()):
        for name, by_ahead in found.items():
            for ahead, three in by_ahead.items():
                scores[name].add((CHANNEL, ahead), *three)
    for name, score in scores.items():
        yield name, *list(score.row(CHANNEL))[:3]


def _district(district: HourlySeries) -> dict[str, dict[int, tuple[Floats, Floats, Floats]]]:
    """By forecaster and hours ahead: what came, what was said, and the previous week's value."""
    asked = [
        (name, forecaster, hour)
        for start in weeks()
        for name, (forecaster, every) in _forecasters(district, start).items()
        for hour in range(start, start + WEEK_HOURS, every)
    ]
    told: dict[str, dict[int, list[tuple[float, Floats, float]]]] = defaultdict(lambda: defaultdict(list))
    values = district.values
    for name, forecaster, hour in asked:
        said = forecaster(district, hour)
        for ahead in (one for one in REPORTED_HORIZONS if hour + one < len(values)):
            at = hour + ahead
            told[name][ahead].append((values[at], said[ahead], values[week_before(at, ahead)]))
    return {name: {ahead: _columns(rows) for ahead, rows in by_ahead.items()} for name, by_ahead in told.items()}


def _columns(rows: list[tuple[float, Floats, float]]) -> tuple[Floats, Floats, Floats]:
    came, said, naive = zip(*rows, strict=True)
    return np.array(came), np.array(said), np.array(naive)


def _forecasters(district: HourlySeries, start: int) -> dict[str, tuple[Forecaster, int]]:
    simple = {
        name: (rival, MSTL_STEP_HOURS if name.startswith("MSTL") else 1)
        for name, rival in baselines.SIMPLE_BASELINES.items()
    }
    known = before(district, start)
    light = LightGbm(known, len(known.values))
    light.values = baselines.fill_gaps(district.values)
    return simple | {"LightGBM on lags, untuned": (light.quantiles, 1), "**WVR**, profile alone": (_own, 1)}


def _own(hours: HourlySeries, hour: int) -> Floats:
    return wvr_forecaster.quantiles(None, hours, hour)
