"""Baseline detectors: each takes the observed record and returns alarms."""

from __future__ import annotations

from collections.abc import Callable

from bench.detection.baselines import fixed, multi_scale, oracle, rolling, weekly_profile
from bench.detection.baselines.grid import ObservedRecord
from bench.detection.scoring import Alarm

BASELINES: dict[str, Callable[[ObservedRecord], list[Alarm]]] = {
    "fixed quantiles + static night threshold": fixed.alarms,
    "rolling median and MAD": rolling.alarms,
    "hour-of-week profile with EWMA and CUSUM": weekly_profile.alarms,
    "multi-scale CUSUM + adaptive night criterion": multi_scale.alarms,
    "oracle that knows the true expected demand": oracle.alarms,
}
