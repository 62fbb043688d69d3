"""`python -m bench.detection.bound`: how soon flow can tell of bursts at all, beside WVR; in docs/results/detection-bound.md.

A matched filter (Kay, Fundamentals of Statistical Signal Processing II, 1998, chapter 4) that is told what nobody has
at a site: the flow expected of each minute, and the covariance of what chance adds to it. Of all weighted sums of three
days' ten-minute means it is the one in which a step stands out most. Its limits are set in hindsight.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from bench.detection.baselines.grid import alarms_of, means
from bench.detection.demand import draws, wandering
from bench.detection.events import WISHES, Wish
from bench.detection.run import QUICK, alarms, score_of
from bench.detection.scoring import Score
from bench.detection.simulator import GRADES, Grade, Record, make_record
from bench.table import publish
from shared.domain.series import DAY, Floats

BURSTS = {"burst": Wish(25.0, WISHES["burst"].hours, WISHES["burst"].size)}
"""Only bursts, and many: other events move neither a burst nor what chance adds."""
SLOTS, EACH = 432, 3
"""Ten-minute means that are weighed together, and from one look to the next."""
AGO = (1, 2, 3, 6, 9, 12, 18, 24, 36, 48, 72, 108, 144, 216)
"""Ten-minute means ago that a step may have begun."""
LIMITS = (3.25, 3.5, 3.75, 4.0, 4.25, 4.5)
"""Standard deviations from which on a step is told."""
CALM = DAY // 4
"""Seconds below the limit after which an alarm is over."""
LONG = 2000
"""Days that a covariance is taken from."""
RIDGE = 1e-6
HEADER = ("detector", "false alarms a week", "bursts found", "of 10 % of mean flow and more",
          "delay: a quarter, half, three quarters, min", "found within 6 h, of all")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detection.bound", description=__doc__)
    parser.add_argument("--sites", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1000, help="of the first site")
    parser.add_argument("--grade", choices=GRADES, default="hard")
    parser.add_argument("--jobs", type=int, default=2, help="sites at a time")
    wanted = parser.parse_args()
    seeds = range(wanted.seed, wanted.seed + wanted.sites)
    pooled = {name: Score() for name in (*map(str, LIMITS), QUICK)}
    with ProcessPoolExecutor(wanted.jobs) as pool:
        for seed, found in zip(seeds, pool.map(partial(_scores, grade=wanted.grade), seeds), strict=True):
            print(f"{wanted.grade} site {seed}", file=sys.stderr, flush=True)
            pooled = {name: one + found[name] for name, one in pooled.items()}
    number = pooled[QUICK].events["burst"]
    title = f"{number} bursts at {len(seeds)} {wanted.grade} sites, seeds {seeds[0]}–{seeds[-1]}, told by one who knows"
    command = " ".join(["python -m bench.detection.bound", *sys.argv[1:]])
    publish("detection-bound", title, command, HEADER, [_row(name, one) for name, one in pooled.items()])


def _scores(seed: int, grade: Grade) -> dict[str, Score]:
    record = make_record(seed, grade, wishes=BURSTS)
    standing = np.array(list(standings(record)))
    at = record.at[:: 10 * EACH][-len(standing) :] + 600 * EACH
    found = {str(limit): alarms_of(at, standing > limit, "step", "flow_rate", CALM) for limit in LIMITS}
    return {name: score_of(record, one) for name, one in (found | {QUICK: alarms(QUICK, record)}).items()}


def standings(record: Record) -> Iterator[float]:
    """Standard deviations by which the likeliest step of the last three days stands out, every half hour."""
    site, habits = record.site, record.site.habits
    unit = site.mean_flow * site.meters.flow_unit
    usual = means(record.expected) / unit
    demand = np.maximum(usual - habits.background, 0.02)
    rng = np.random.default_rng(site.seed)
    swing = np.exp(np.clip(wandering(rng, LONG * 1440, habits.hourly, habits.daily), -0.7, 0.7))
    residuals = np.nan_to_num(means(record.flow) / unit - usual - (swing.mean() - 1) * demand)
    slow, quick = _covariance(swing), _covariance(draws(rng, np.ones(LONG * 1440), habits.grain))
    shown = (site.meters.flow_step / site.mean_flow) ** 2 / 12 / 10
    begun = (np.arange(SLOTS)[:, None] >= SLOTS - np.array(AGO)).astype(np.float64)
    for stop in range(SLOTS, len(residuals) + 1, EACH):
        here = demand[stop - SLOTS : stop]
        noise = slow * np.outer(here, here) + quick * np.sqrt(np.outer(here, here)) + (shown + RIDGE) * np.eye(SLOTS)
        weights = cho_solve(cho_factor(noise, lower=True), begun)
        yield float(np.max(residuals[stop - SLOTS : stop] @ weights / np.sqrt(np.sum(begun * weights, axis=0))))


def _covariance(values: Floats) -> Floats:
    """(432, 432) of ten-minute means, from a long run of minutes."""
    tens = values.reshape(-1, 10).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(tens - tens.mean(), 2 * len(tens))) ** 2
    apart = np.fft.irfft(spectrum)[:SLOTS] / len(tens)
    found: Floats = apart[np.abs(np.subtract.outer(np.arange(SLOTS), np.arange(SLOTS)))]
    return found


def _row(name: str, one: Score) -> tuple[str, ...]:
    delays = np.array(one.delays.get("burst", []))
    quarters = " / ".join(f"{minutes:.0f}" for minutes in np.quantile(delays, (0.25, 0.5, 0.75))) if len(delays) else ""
    soon = np.count_nonzero(delays <= 360) / max(one.events["burst"], 1)
    return (
        name if name == QUICK else f"one that knows, from {name} standard deviations on",
        f"{one.false_per_week:.2f}",
        f"{100 * one.recall('burst'):.0f} %",
        f"{100 * one.recall('large_burst'):.0f} %",
        quarters,
        f"{100 * soon:.0f} %",
    )


if __name__ == "__main__":
    main()
