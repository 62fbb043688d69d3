"""All forecasters on simulated sites, WVR through ./wvr replay: the rows of docs/results/forecast.md."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.forecast import baselines
from bench.forecast.baselines import LightGbm
from bench.forecast.plain_lstm import PlainLstm
from bench.forecast.relative_scores import REPORTED_HORIZONS, RelativeScores, week_before
from bench.forecast.simulated import Site, TrainingCost, make_site, replay, train_again
from services.trainer.training_data import HourlySeries
from shared.contract.messages import CHANNELS
from shared.domain.series import Floats

HEADER = (
    "",
    "error over the previous week's, 1 / 24 / 168 h",
    "pinball loss over the same",
    "inside p10–p90, %",
    "training",
    "a forecast",
)
REQUIRED = {"flow_rate": "0.54 / 0.79 / 0.85", "pressure": "below its profile and its last value"}
STEP_HOURS = {"MSTL with AutoETS": 47, "LightGBM on lags, untuned": 3}
"""Hours between the forecasts of slow forecasters; of all others 1."""
NOTE = """Hours of leaks, bursts and faults are not scored. In the data before a forecast, WVR has them as its detector
leaves them. The other forecasters have the hour of a week before instead, by the simulator's labels. LightGBM
forecasts every third hour, MSTL every 47th; the LSTM on raw minutes is trained for five epochs."""
Fitted = TypeVar("Fitted")
WVR, LIGHTGBM = "**WVR**", "LightGBM on lags, untuned"
PLAIN_LSTM = "LSTM on 60 raw minutes, as the first version had it"


def rows(seeds: range, days: int, evaluated_days: int) -> tuple[dict[str, list[tuple[str, ...]]], TrainingCost | None]:
    """Return the rows of each channel, and the cost of a training of both at the first site."""
    scores: dict[str, dict[str, RelativeScores]] = {channel: defaultdict(RelativeScores) for channel in CHANNELS}
    cost = None
    for seed in seeds:
        site = make_site(seed, days, evaluated_days)
        with tempfile.TemporaryDirectory(prefix="wvr-bench-") as name:
            by_wvr = replay(site, Path(name))
            cost = cost or train_again(site, Path(name))
        for channel in CHANNELS:
            _add_wvr(scores[channel][WVR], site, channel, by_wvr)
            for baseline, forecasts, score in _baselines(site, channel, scores[channel]):
                _add(score, site, channel, forecasts)
                print(f"site {seed}, {channel}: {baseline}", file=sys.stderr, flush=True)
    required = {channel: [("required", REQUIRED[channel], "", "76–84", "", "")] for channel in CHANNELS}
    measured = {
        channel: [(name, *score.row(channel)) for name, score in scores[channel].items()] for channel in CHANNELS
    }
    return {channel: required[channel] + measured[channel] for channel in CHANNELS}, cost


def _add_wvr(score: RelativeScores, site: Site, channel: str, by_wvr: dict[tuple[str, int], dict[int, Floats]]) -> None:
    hours = len(site.channels[channel].values)
    for horizon in REPORTED_HORIZONS:
        forecasts = by_wvr[channel, horizon]
        issued = np.array(sorted(hour for hour in forecasts if hour + horizon < hours))
        _compare(score, site, channel, horizon, issued, np.stack([forecasts[int(hour)] for hour in issued]))


def _add(score: RelativeScores, site: Site, channel: str, forecasts: dict[int, Floats]) -> None:
    hours = len(site.channels[channel].values)
    for horizon in REPORTED_HORIZONS:
        issued = np.array([hour for hour in forecasts if hour + horizon < hours])
        _compare(score, site, channel, horizon, issued, np.stack([forecasts[int(hour)][horizon] for hour in issued]))


def _compare(
    score: RelativeScores, site: Site, channel: str, horizon: int, issued: np.ndarray, forecasts: Floats
) -> None:
    values = site.channels[channel].values
    at = issued + horizon
    score.add((channel, horizon), values[at], forecasts, values[week_before(at, horizon)])


def _baselines(
    site: Site, channel: str, scores: dict[str, RelativeScores]
) -> Iterator[tuple[str, dict[int, Floats], RelativeScores]]:
    series, first = site.channels[channel], site.trained_at_hour
    end = len(series.values)
    for name, baseline in baselines.SIMPLE_BASELINES.items():
        issued = range(first, end - 1, STEP_HOURS.get(name, 1))
        yield name, _run(baseline, series, issued, scores[name]), scores[name]
    light = _timed(lambda: LightGbm(series, first), scores[LIGHTGBM].training_seconds)
    light.values = baselines.fill_gaps(series.values)
    issued = range(first, end - 169, STEP_HOURS[LIGHTGBM])
    yield LIGHTGBM, _run(light.quantiles, series, issued, scores[LIGHTGBM]), scores[LIGHTGBM]
    minutes = site.record.flow if channel == "flow_rate" else site.record.pressure
    minutes = np.where(np.repeat(np.isnan(series.values), 60), np.nan, minutes)
    plain = _timed(lambda: PlainLstm(minutes, series.values, first), scores[PLAIN_LSTM].training_seconds)
    hours = np.arange(first, end - 1)
    yield PLAIN_LSTM, dict(zip(hours.tolist(), plain.forecasts(hours), strict=True)), scores[PLAIN_LSTM]


def _run(
    forecaster: Callable[[HourlySeries, int], Floats], series: HourlySeries, issued: range, score: RelativeScores
) -> dict[int, Floats]:
    started = time.perf_counter()
    forecasts = {hour: forecaster(series, hour) for hour in issued}
    score.inference_milliseconds.append(1000 * (time.perf_counter() - started) / len(issued))
    return forecasts


def _timed(fit: Callable[[], Fitted], seconds: list[float]) -> Fitted:
    started = time.perf_counter()
    fitted = fit()
    seconds.append(time.perf_counter() - started)
    return fitted
