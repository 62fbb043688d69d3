"""Detectors over many sites, some at a time, and the score of each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.detection import wvr
from bench.detection.baselines import BASELINES
from bench.detection.baselines.grid import shown
from bench.detection.events import CLEAN_DAYS
from bench.detection.faults import Lines
from bench.detection.scoring import Alarm, Score, score
from bench.detection.simulator import Grade, Record, make_record
from shared.domain.series import DAY, MINUTE

WVR = "WVR"
QUICK = "WVR, in one process"
Case = tuple[str, int, Grade]
"""Detector, seed of the site, grade."""


def scores(detectors: Sequence[str], seeds: range, grades: Sequence[Grade], jobs: int) -> Iterator[tuple[Case, Score]]:
    """Each detector's score at each site, in the order of the cases, as soon as they are known."""
    cases = [(name, seed, grade) for name in detectors for grade in grades for seed in seeds]
    with ProcessPoolExecutor(jobs) as pool:
        yield from zip(cases, pool.map(_score, cases), strict=True)


def alarms(detector: str, record: Record) -> list[Alarm]:
    """A detector's alarms on a record."""
    if detector in BASELINES:
        return BASELINES[detector](shown(record))
    return in_folder(detector, record.lines)


def in_folder(detector: str, lines: Lines, site: str = "") -> list[Alarm]:
    """WVR's alarms on lines that a logger wrote, in a temporary folder; site: its site.toml."""
    with tempfile.TemporaryDirectory(prefix="wvr-bench-") as name:
        (Path(name) / wvr.SITE).write_text(site, encoding="utf-8")
        return (wvr.by_command if detector == WVR else wvr.in_process)(lines, Path(name))


def score_of(record: Record, found: Sequence[Alarm]) -> Score:
    """Score of alarms on a record, after the first three months."""
    start = int(record.at[0]) + CLEAN_DAYS * DAY
    return score(found, record.events, start, int(record.at[-1]) + MINUTE)


def _score(case: Case) -> Score:
    detector, seed, grade = case
    record = make_record(seed, grade)
    return score_of(record, alarms(detector, record))
