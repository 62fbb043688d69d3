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
    "", "error over the previous week's, 1 / 24 / 168 h", "pinball loss over the same", "inside p10–p90, %",
    "training", "a forecast",
)  # fmt: skip
REQUIRED = {"flow_rate": "0.54 / 0.79 / 0.85", "pressure": "below its profile and its last value"}
STEP_HOURS = {"MSTL with AutoETS": 47, "LightGBM on lags, untuned": 3}
"""Of so many forecasts a slow one makes one."""
NOTE = """Hours of leaks, bursts and faults count for nobody. WVR sees them in what came before, as its detector leaves
them; the others are spared them, by the simulator's labels, and see the hour of a week before instead. LightGBM
forecasts each third hour, MSTL each 47th; the LSTM on raw minutes learns five epochs."""
Fitted = TypeVar("Fitted")
WVR, LIGHTGBM, PLAIN_LSTM = (
    "**WVR**",
    "LightGBM on lags, untuned",
    "LSTM on 60 raw minutes, as the first version had it",
)


def rows(seeds: range, days: int, judged: int) -> tuple[dict[str, list[tuple[str, ...]]], TrainingCost | None]:
    """Rows of each channel, and what a training of both took at the first site."""
    scores: dict[str, dict[str, RelativeScores]] = {channel: defaultdict(RelativeScores) for channel in CHANNELS}
    measured = None
    for seed in seeds:
        site = make_site(seed, days, judged)
        with tempfile.TemporaryDirectory(prefix="wvr-bench-") as name:
            own = replay(site, Path(name))
            measured = measured or train_again(site, Path(name))
        for channel in CHANNELS:
            _add_wvr(scores[channel][WVR], site, channel, own)
            for rival, forecasts, score in _baselines(site, channel, scores[channel]):
                _add(score, site, channel, forecasts)
                print(f"site {seed}, {channel}: {rival}", file=sys.stderr, flush=True)
    must = {channel: [("must", REQUIRED[channel], "", "76–84", "", "")] for channel in CHANNELS}
    found = {c: [(name, *score.row(c)) for name, score in scores[c].items()] for c in CHANNELS}
    return {channel: must[channel] + found[channel] for channel in CHANNELS}, measured


def _add_wvr(score: RelativeScores, site: Site, channel: str, own: dict[tuple[str, int], dict[int, Floats]]) -> None:
    hours = site.channels[channel]
    for ahead in REPORTED_HORIZONS:
        said = own[channel, ahead]
        issued = np.array(sorted(hour for hour in said if hour + ahead < len(hours.values)))
        _compare(score, site, channel, ahead, issued, np.stack([said[int(hour)] for hour in issued]))


def _add(score: RelativeScores, site: Site, channel: str, forecasts: dict[int, Floats]) -> None:
    end = len(site.channels[channel].values)
    for ahead in REPORTED_HORIZONS:
        issued = np.array([hour for hour in forecasts if hour + ahead < end])
        _compare(score, site, channel, ahead, issued, np.stack([forecasts[int(hour)][ahead] for hour in issued]))


def _compare(score: RelativeScores, site: Site, channel: str, ahead: int, issued: np.ndarray, said: Floats) -> None:
    values = site.channels[channel].values
    at = issued + ahead
    score.add((channel, ahead), values[at], said, values[week_before(at, ahead)])


def _baselines(
    site: Site, channel: str, scores: dict[str, RelativeScores]
) -> Iterator[tuple[str, dict[int, Floats], RelativeScores]]:
    hours = site.channels[channel]
    last = len(hours.values)
    for name, rival in baselines.SIMPLE_BASELINES.items():
        yield (
            name,
            _run(rival, hours, range(site.trained_at_hour, last - 1, STEP_HOURS.get(name, 1)), scores[name]),
            scores[name],
        )
    light = _timed(lambda: LightGbm(hours, site.trained_at_hour), scores[LIGHTGBM].training_seconds)
    light.values = baselines.fill_gaps(hours.values)
    asked = range(site.trained_at_hour, last - 169, STEP_HOURS[LIGHTGBM])
    yield LIGHTGBM, _run(light.quantiles, hours, asked, scores[LIGHTGBM]), scores[LIGHTGBM]
    minutes = site.record.flow if channel == "flow_rate" else site.record.pressure
    minutes = np.where(np.repeat(np.isnan(hours.values), 60), np.nan, minutes)
    plain = _timed(lambda: PlainLstm(minutes, hours.values, site.trained_at_hour), scores[PLAIN_LSTM].training_seconds)
    issued = np.arange(site.trained_at_hour, last - 1)
    yield PLAIN_LSTM, dict(zip(issued.tolist(), plain.forecasts(issued), strict=True)), scores[PLAIN_LSTM]


def _run(
    forecaster: Callable[[HourlySeries, int], Floats], hours: HourlySeries, issued: range, score: RelativeScores
) -> dict[int, Floats]:
    began = time.perf_counter()
    found = {hour: forecaster(hours, hour) for hour in issued}
    score.inference_milliseconds.append(1000 * (time.perf_counter() - began) / len(issued))
    return found


def _timed(make: Callable[[], Fitted], seconds: list[float]) -> Fitted:
    began = time.perf_counter()
    made = make()
    seconds.append(time.perf_counter() - began)
    return made
