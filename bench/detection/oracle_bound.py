"""`python -m bench.detection.oracle_bound`: lower bound of burst delays; docs/results/detection-bound.md.

A matched filter (Kay, Fundamentals of Statistical Signal Processing II, 1998, chapter 4). It knows what no site knows:
the expected flow of each minute, and the covariance of the random part. Of all weighted sums of three days of
ten-minute means it has the largest signal-to-noise ratio for a step. Its limits are set in hindsight.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from bench.detection.baselines.grid import group_alarms, ten_minute_means
from bench.detection.demand import poisson_pulses, slow_noise
from bench.detection.events import EVENT_SPECS, EventSpec
from bench.detection.runner import WVR_IN_PROCESS, detect, score_record
from bench.detection.scoring import Score
from bench.detection.simulator import GRADES, Grade, Record, make_record
from bench.table import publish
from shared.domain.series import DAY, Floats

BURST_SPECS = {"burst": EventSpec(25.0, EVENT_SPECS["burst"].hours, EVENT_SPECS["burst"].size)}
"""Many bursts and no other event: others change neither a burst nor the random part."""
WINDOW_SLOTS, STRIDE_SLOTS = 432, 3
"""Ten-minute slots of the window, and between two evaluations."""
STEP_AGES_SLOTS = (1, 2, 3, 6, 9, 12, 18, 24, 36, 48, 72, 108, 144, 216)
"""Ages of a step, in ten-minute slots."""
LIMITS_STD = (3.25, 3.5, 3.75, 4.0, 4.25, 4.5)
"""Limits in standard deviations."""
ALARM_GAP_SECONDS = DAY // 4
"""Seconds below the limit after which an alarm ends."""
COVARIANCE_DAYS = 2000
"""Days that a covariance is estimated from."""
RIDGE = 1e-6
HEADER = (
    "detector",
    "false alarms a week",
    "bursts found",
    "of 10 % of mean flow and more",
    "delay: a quarter, half, three quarters, min",
    "found within 6 h, of all",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detection.oracle_bound", description=__doc__)
    parser.add_argument("--sites", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1000, help="of the first site")
    parser.add_argument("--grade", choices=GRADES, default="hard")
    parser.add_argument("--jobs", type=int, default=2, help="sites at a time")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.sites)
    pooled = {name: Score() for name in (*map(str, LIMITS_STD), WVR_IN_PROCESS)}
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for seed, scores in zip(seeds, pool.map(partial(_scores, grade=arguments.grade), seeds), strict=True):
            print(f"{arguments.grade} site {seed}", file=sys.stderr, flush=True)
            pooled = {name: score + scores[name] for name, score in pooled.items()}
    number = pooled[WVR_IN_PROCESS].events["burst"]
    title = f"{number} bursts at {len(seeds)} {arguments.grade} sites, seeds {seeds[0]}–{seeds[-1]}: WVR and an oracle"
    command = " ".join(["python -m bench.detection.oracle_bound", *sys.argv[1:]])
    publish("detection-bound", title, command, HEADER, [_row(name, score) for name, score in pooled.items()])


def _scores(seed: int, grade: Grade) -> dict[str, Score]:
    record = make_record(seed, grade, specs=BURST_SPECS)
    scores = np.array(list(step_scores(record)))
    at = record.at[:: 10 * STRIDE_SLOTS][-len(scores) :] + 600 * STRIDE_SLOTS
    alarms_by_detector = {
        str(limit): group_alarms(at, scores > limit, "step", "flow_rate", ALARM_GAP_SECONDS) for limit in LIMITS_STD
    }
    return {
        name: score_record(record, alarms)
        for name, alarms in (alarms_by_detector | {WVR_IN_PROCESS: detect(WVR_IN_PROCESS, record)}).items()
    }


def step_scores(record: Record) -> Iterator[float]:
    """Yield the score of the likeliest step of the last three days, in standard deviations, every half hour."""
    site, profile = record.site, record.site.demand_profile
    unit = site.mean_flow * site.meters.flow_unit
    expected = ten_minute_means(record.expected) / unit
    demand = np.maximum(expected - profile.background, 0.02)
    rng = np.random.default_rng(site.seed)
    swing = np.exp(np.clip(slow_noise(rng, COVARIANCE_DAYS * 1440, profile.hourly_std, profile.daily_std), -0.7, 0.7))
    residuals = np.nan_to_num(ten_minute_means(record.flow) / unit - expected - (swing.mean() - 1) * demand)
    slow_covariance = _covariance(swing)
    pulse_covariance = _covariance(poisson_pulses(rng, np.ones(COVARIANCE_DAYS * 1440), profile.minute_std))
    resolution_variance = (site.meters.flow_step / site.mean_flow) ** 2 / 12 / 10
    step_shapes = (np.arange(WINDOW_SLOTS)[:, None] >= WINDOW_SLOTS - np.array(STEP_AGES_SLOTS)).astype(np.float64)
    for stop in range(WINDOW_SLOTS, len(residuals) + 1, STRIDE_SLOTS):
        window_demand = demand[stop - WINDOW_SLOTS : stop]
        covariance = (
            slow_covariance * np.outer(window_demand, window_demand)
            + pulse_covariance * np.sqrt(np.outer(window_demand, window_demand))
            + (resolution_variance + RIDGE) * np.eye(WINDOW_SLOTS)
        )
        weights = cho_solve(cho_factor(covariance, lower=True), step_shapes)
        yield float(
            np.max(residuals[stop - WINDOW_SLOTS : stop] @ weights / np.sqrt(np.sum(step_shapes * weights, axis=0)))
        )


def _covariance(values: Floats) -> Floats:
    """Return (432, 432) covariance of ten-minute means, from a long run of minutes."""
    means = values.reshape(-1, 10).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(means - means.mean(), 2 * len(means))) ** 2
    autocovariance = np.fft.irfft(spectrum)[:WINDOW_SLOTS] / len(means)
    matrix: Floats = autocovariance[np.abs(np.subtract.outer(np.arange(WINDOW_SLOTS), np.arange(WINDOW_SLOTS)))]
    return matrix


def _row(name: str, score: Score) -> tuple[str, ...]:
    delays = np.array(score.delays.get("burst", []))
    quarters = " / ".join(f"{minutes:.0f}" for minutes in np.quantile(delays, (0.25, 0.5, 0.75))) if len(delays) else ""
    found_within_6_hours = np.count_nonzero(delays <= 360) / max(score.events["burst"], 1)
    return (
        name if name == WVR_IN_PROCESS else f"oracle, limit of {name} standard deviations",
        f"{score.false_per_week:.2f}",
        f"{100 * score.recall('burst'):.0f} %",
        f"{100 * score.recall('large_burst'):.0f} %",
        quarters,
        f"{100 * found_within_6_hours:.0f} %",
    )


if __name__ == "__main__":
    main()
