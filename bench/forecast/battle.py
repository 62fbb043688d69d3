"""The battle's four weeks: each forecaster's mean of the three indicators over district and week."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from joblib import Parallel, delayed

from bench.forecast import own, rivals
from bench.forecast.districts import Case, cases, indicators
from bench.forecast.rivals import LightGbm
from shared.domain.series import Floats

HEADER = ("", "hours 1–24", "greatest of hours 1–24", "hours 25–168")
KNOWN = (
    ("must", "1.10", "4.2", "1.22"),
    ("winner of the battle, of 31 teams", "0.985", "3.30", "1.128"),
)
WVR = "**WVR**"


def rows(lstm: bool, jobs: int) -> Iterator[tuple[str, ...]]:
    """The table, mean absolute errors in l/s."""
    yield from KNOWN
    known = cases()
    for name, forecaster in _forecasters(lstm):
        found = Parallel(jobs)(delayed(_one)(forecaster, case) for case in known)
        yield name, *(f"{value:.{places}f}" for value, places in zip(np.nanmean(found, axis=0), (3, 2, 3), strict=True))


def _one(forecaster: Callable[[Case], Floats], case: Case) -> Floats:
    return indicators(case.came, forecaster(case)[:168])


def _forecasters(lstm: bool) -> Iterator[tuple[str, Callable[[Case], Floats]]]:
    for name, rival in rivals.SIMPLE.items():
        yield name, _Simple(rival)
    yield "LightGBM on lags, untuned", _light_gbm
    yield f"{WVR}, profile alone", _profile
    if lstm:
        yield f"{WVR}, LSTM where the trainer promotes it", _lstm


class _Simple:
    """A rule as a forecaster of cases."""

    def __init__(self, rival: rivals.Rival) -> None:
        self.rival = rival

    def __call__(self, case: Case) -> Floats:
        return self.rival(case.hours, len(case.hours.values))


def _light_gbm(case: Case) -> Floats:
    end = len(case.hours.values)
    return LightGbm(case.hours, end)(case.hours, end)


def _profile(case: Case) -> Floats:
    return own.quantiles(None, case.hours, len(case.hours.values))[:, 1]


def _lstm(case: Case) -> Floats:
    end = len(case.hours.values)
    return own.quantiles(own.train(case.hours, end), case.hours, end)[:, 1]
