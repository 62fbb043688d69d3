"""The battle's four weeks: each forecaster's mean of the three indicators over district and week."""

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
    ("must", "1.10", "4.2", "1.22"),
    ("winner of the battle, of 31 teams", "0.985", "3.30", "1.128"),
)
WVR = "**WVR**"


def rows(lstm: bool, jobs: int) -> Iterator[tuple[str, ...]]:
    """The table, mean absolute errors in l/s."""
    yield from REFERENCE_ROWS
    known = cases()
    for name, forecaster in _forecasters(lstm):
        found = Parallel(jobs)(delayed(_case_errors)(forecaster, case) for case in known)
        yield name, *(f"{value:.{places}f}" for value, places in zip(np.nanmean(found, axis=0), (3, 2, 3), strict=True))


def _case_errors(forecaster: Callable[[Case], Floats], case: Case) -> Floats:
    return indicators(case.actuals, forecaster(case)[:168])


def _forecasters(lstm: bool) -> Iterator[tuple[str, Callable[[Case], Floats]]]:
    for name, rival in baselines.SIMPLE_BASELINES.items():
        yield name, _BaselineForecaster(rival)
    yield "LightGBM on lags, untuned", _light_gbm
    yield f"{WVR}, profile alone", _profile
    if lstm:
        yield f"{WVR}, LSTM where the trainer promotes it", _lstm


class _BaselineForecaster:
    """A rule as a forecaster of cases."""

    def __init__(self, rival: baselines.Baseline) -> None:
        self.baseline = rival

    def __call__(self, case: Case) -> Floats:
        return self.baseline(case.hours, len(case.hours.values))


def _light_gbm(case: Case) -> Floats:
    end = len(case.hours.values)
    return LightGbm(case.hours, end)(case.hours, end)


def _profile(case: Case) -> Floats:
    return wvr_forecaster.quantiles(None, case.hours, len(case.hours.values))[:, 1]


def _lstm(case: Case) -> Floats:
    end = len(case.hours.values)
    return wvr_forecaster.quantiles(wvr_forecaster.train(case.hours, end), case.hours, end)[:, 1]
