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

from bench.forecast import rivals
from bench.forecast.plain_lstm import PlainLstm
from bench.forecast.rivals import LightGbm
from bench.forecast.score import AHEAD, Score, week_before
from bench.forecast.simulated import Measured, Site, make, replay, train_again
from services.trainer.hours import Hours
from shared.contract.messages import CHANNELS
from shared.domain.series import Floats

HEADER = (
    "", "error over the previous week's, 1 / 24 / 168 h", "pinball loss over the same", "inside p10–p90, %",
    "training", "a forecast",
)  # fmt: skip
MUST = {"flow_rate": "0.54 / 0.79 / 0.85", "pressure": "below its profile and its last value"}
EVERY = {"MSTL with AutoETS": 47, "LightGBM on lags, untuned": 3}
"""Of so many forecasts a slow one makes one."""
NOTE = """Hours of leaks, bursts and faults count for nobody. WVR sees them in what came before, as its detector leaves
them; the others are spared them, by the simulator's labels, and see the hour of a week before instead. LightGBM
forecasts each third hour, MSTL each 47th; the LSTM on raw minutes learns five epochs."""
Made = TypeVar("Made")
WVR, LIGHT, PLAIN = "**WVR**", "LightGBM on lags, untuned", "LSTM on 60 raw minutes, as the first version had it"


def rows(seeds: range, days: int, judged: int) -> tuple[dict[str, list[tuple[str, ...]]], Measured | None]:
    """Rows of each channel, and what a training of both took at the first site."""
    scores: dict[str, dict[str, Score]] = {channel: defaultdict(Score) for channel in CHANNELS}
    measured = None
    for seed in seeds:
        site = make(seed, days, judged)
        with tempfile.TemporaryDirectory(prefix="wvr-bench-") as name:
            own = replay(site, Path(name))
            measured = measured or train_again(site, Path(name))
        for channel in CHANNELS:
            _take_own(scores[channel][WVR], site, channel, own)
            for rival, forecasts, score in _rivals(site, channel, scores[channel]):
                _take(score, site, channel, forecasts)
                print(f"site {seed}, {channel}: {rival}", file=sys.stderr, flush=True)
    must = {channel: [("must", MUST[channel], "", "76–84", "", "")] for channel in CHANNELS}
    found = {c: [(name, *score.row(c)) for name, score in scores[c].items()] for c in CHANNELS}
    return {channel: must[channel] + found[channel] for channel in CHANNELS}, measured


def _take_own(score: Score, site: Site, channel: str, own: dict[tuple[str, int], dict[int, Floats]]) -> None:
    hours = site.channels[channel]
    for ahead in AHEAD:
        said = own[channel, ahead]
        issued = np.array(sorted(hour for hour in said if hour + ahead < len(hours.values)))
        _compare(score, site, channel, ahead, issued, np.stack([said[int(hour)] for hour in issued]))


def _take(score: Score, site: Site, channel: str, forecasts: dict[int, Floats]) -> None:
    end = len(site.channels[channel].values)
    for ahead in AHEAD:
        issued = np.array([hour for hour in forecasts if hour + ahead < end])
        _compare(score, site, channel, ahead, issued, np.stack([forecasts[int(hour)][ahead] for hour in issued]))


def _compare(score: Score, site: Site, channel: str, ahead: int, issued: np.ndarray, said: Floats) -> None:
    values = site.channels[channel].values
    at = issued + ahead
    score.take((channel, ahead), values[at], said, values[week_before(at, ahead)])


def _rivals(site: Site, channel: str, scores: dict[str, Score]) -> Iterator[tuple[str, dict[int, Floats], Score]]:
    hours = site.channels[channel]
    last = len(hours.values)
    for name, rival in rivals.SIMPLE.items():
        yield name, _ask(rival, hours, range(site.trained, last - 1, EVERY.get(name, 1)), scores[name]), scores[name]
    light = _timed(lambda: LightGbm(hours, site.trained), scores[LIGHT].training)
    light.values = rivals.filled(hours.values)
    asked = range(site.trained, last - 169, EVERY[LIGHT])
    yield LIGHT, _ask(light.quantiles, hours, asked, scores[LIGHT]), scores[LIGHT]
    minutes = site.record.flow if channel == "flow_rate" else site.record.pressure
    minutes = np.where(np.repeat(np.isnan(hours.values), 60), np.nan, minutes)
    plain = _timed(lambda: PlainLstm(minutes, hours.values, site.trained), scores[PLAIN].training)
    issued = np.arange(site.trained, last - 1)
    yield PLAIN, dict(zip(issued.tolist(), plain.forecasts(issued), strict=True)), scores[PLAIN]


def _ask(forecaster: Callable[[Hours, int], Floats], hours: Hours, issued: range, score: Score) -> dict[int, Floats]:
    began = time.perf_counter()
    found = {hour: forecaster(hours, hour) for hour in issued}
    score.inference.append(1000 * (time.perf_counter() - began) / len(issued))
    return found


def _timed(make: Callable[[], Made], seconds: list[float]) -> Made:
    began = time.perf_counter()
    made = make()
    seconds.append(time.perf_counter() - began)
    return made
