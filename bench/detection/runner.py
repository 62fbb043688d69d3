"""Runs detectors over many sites in parallel and scores them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.detection import wvr
from bench.detection.baselines import BASELINES
from bench.detection.baselines.grid import observe
from bench.detection.events import LEARNING_DAYS
from bench.detection.faults import LoggerLines
from bench.detection.scoring import Alarm, Score, score
from bench.detection.simulator import Grade, Record, make_record
from shared.domain.series import DAY, MINUTE

WVR = "WVR"
WVR_IN_PROCESS = "WVR, in one process"
Case = tuple[str, int, Grade]
"""Detector, seed of the site, grade."""


def score_cases(
    detectors: Sequence[str], seeds: range, grades: Sequence[Grade], jobs: int
) -> Iterator[tuple[Case, Score]]:
    """Yield each detector's score at each site, in the order of the cases."""
    cases = [(name, seed, grade) for name in detectors for grade in grades for seed in seeds]
    with ProcessPoolExecutor(jobs) as pool:
        yield from zip(cases, pool.map(_score_case, cases), strict=True)


def detect(detector: str, record: Record) -> list[Alarm]:
    """Return a detector's alarms on a record."""
    if detector in BASELINES:
        return BASELINES[detector](observe(record))
    return run_in_folder(detector, record.lines)


def run_in_folder(detector: str, lines: LoggerLines, site: str = "") -> list[Alarm]:
    """Return WVR's alarms on a logger's lines, in a temporary folder; site: content of its site.toml."""
    with tempfile.TemporaryDirectory(prefix="wvr-bench-") as name:
        (Path(name) / wvr.SITE).write_text(site, encoding="utf-8")
        return (wvr.by_command if detector == WVR else wvr.in_process)(lines, Path(name))


def score_record(record: Record, alarms: Sequence[Alarm]) -> Score:
    """Score alarms on a record, after the first three months."""
    start = int(record.at[0]) + LEARNING_DAYS * DAY
    return score(alarms, record.events, start, int(record.at[-1]) + MINUTE)


def _score_case(case: Case) -> Score:
    detector, seed, grade = case
    record = make_record(seed, grade)
    return score_record(record, detect(detector, record))
