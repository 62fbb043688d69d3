"""Simple detectors beside WVR's: each takes what the meters showed and gives alarms."""

from __future__ import annotations

from collections.abc import Callable

from bench.detection.baselines import fixed, oracle, profile, rolling, scales
from bench.detection.baselines.grid import Shown
from bench.detection.scoring import Alarm

BASELINES: dict[str, Callable[[Shown], list[Alarm]]] = {
    "fixed quantiles + static night threshold": fixed.alarms,
    "rolling median and MAD": rolling.alarms,
    "hour-of-week profile with EWMA and CUSUM": profile.alarms,
    "multi-scale CUSUM + adaptive night criterion": scales.alarms,
    "one that knows the true expected demand": oracle.alarms,
}
