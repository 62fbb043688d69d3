"""The four weeks of the Battle of Water Demand Forecasting (BWDF): mean indicators of each forecaster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from joblib import Parallel, delayed

from bench.forecast import baselines, wvr_forecaster
from bench.forecast.baselines import LightGbm
from bench.forecast.districts import Case, cases, indicators
from shared.domain.series import Floats

HEADER = ("", "hours 1–24", "greatest of hours 1–24", "hours 25–168")
REFERENCE_ROWS = (
    ("required", "1.10", "4.2", "1.22"),
    ("winner of the battle, of 31 teams", "0.985", "3.30", "1.128"),
)
WVR = "**WVR**"


def rows(lstm: bool, jobs: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table: mean absolute errors in l/s."""
    yield from REFERENCE_ROWS
    all_cases = cases()
    for name, forecaster in _forecasters(lstm):
        errors = Parallel(jobs)(delayed(_case_errors)(forecaster, case) for case in all_cases)
        means = zip(np.nanmean(errors, axis=0), (3, 2, 3), strict=True)
        yield name, *(f"{value:.{decimals}f}" for value, decimals in means)


def _case_errors(forecaster: Callable[[Case], Floats], case: Case) -> Floats:
    return indicators(case.actuals, forecaster(case)[:168])


def _forecasters(lstm: bool) -> Iterator[tuple[str, Callable[[Case], Floats]]]:
    for name, baseline in baselines.SIMPLE_BASELINES.items():
        yield name, _BaselineForecaster(baseline)
    yield "LightGBM on lags, untuned", _light_gbm
    yield f"{WVR}, profile alone", _profile
    if lstm:
        yield f"{WVR}, LSTM where the trainer promotes it", _lstm


class _BaselineForecaster:
    """A simple baseline as a forecaster of cases."""

    def __init__(self, baseline: baselines.Baseline) -> None:
        self.baseline = baseline

    def __call__(self, case: Case) -> Floats:
        return self.baseline(case.series, len(case.series.values))


def _light_gbm(case: Case) -> Floats:
    end = len(case.series.values)
    return LightGbm(case.series, end)(case.series, end)


def _profile(case: Case) -> Floats:
    return wvr_forecaster.quantiles(None, case.series, len(case.series.values))[:, 1]


def _lstm(case: Case) -> Floats:
    end = len(case.series.values)
    model = wvr_forecaster.train(case.series, end)
    return wvr_forecaster.quantiles(model, case.series, end)[:, 1]
