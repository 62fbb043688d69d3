"""Scores as rows of Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.detection.events import FAULTS, HARMLESS, LEGITIMATE
from bench.detection.scoring import BURST_SIZES, Score
from bench.detection.simulator import Grade

Pooled = Mapping[tuple[str, Grade], Score]
"""Detector and grade to the sum of its scores."""
METHOD_HEADER = (
    "method",
    "bursts found",
    "of 10 % of mean flow and more",
    "leaks found in 14 days",
    "faults found",
    "precision",
    "false alarms a week",
    "legitimate called leak",
    "burst delay, median min",
    "leak delay, median days",
)
REQUIRED = ("required", "45 / 20 %", "80 / 45 %", "75 / 45 %", "96 / 94 %", "", "1.0 / 1.0", "8 / 8 %", "120 / 360", "")
KIND_HEADER = ("event", "grade", "events", "found", "alarms, and number of events that had one")


def method_rows(pooled: Pooled, grades: Sequence[Grade]) -> list[tuple[str, ...]]:
    """Return one row per detector, grades side by side."""
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(name for name, _ in pooled):
        scores = [pooled[name, grade] for grade in grades]
        rows.append(
            (
                name,
                _percents([score.recall("burst") for score in scores]),
                _percents([score.recall("large_burst") for score in scores]),
                _percents([score.recall("leak") for score in scores]),
                _percents([score.recall(*FAULTS) for score in scores]),
                _percents([score.precision for score in scores]),
                " / ".join(f"{score.false_per_week:.1f}" for score in scores),
                _percents([score.legitimate_called_loss for score in scores]),
                _numbers([score.delay("burst") for score in scores]),
                _numbers([score.delay("leak") / 1440 for score in scores]),
            )
        )
    return rows


def kind_rows(pooled: Pooled, detector: str, grades: Sequence[Grade]) -> list[tuple[str, ...]]:
    """Return one detector's results for each kind of event, and its false alarms by kind."""
    rows: list[tuple[str, ...]] = []
    bursts = [f"burst_{100 * size:.0f}" for size in BURST_SIZES]
    for kind in (*bursts, "leak", *FAULTS, *HARMLESS, *LEGITIMATE):
        for grade in grades:
            score = pooled[detector, grade]
            if score.events[kind]:
                hits = "" if kind in LEGITIMATE else f"{score.hits[kind]}"
                rows.append((_title(kind), grade, str(score.events[kind]), hits, _names(score, kind)))
    for grade in grades:
        score = pooled[detector, grade]
        kinds = ", ".join(f"{kind} {number}" for kind, number in score.false_alarms_by_kind.most_common())
        rows.append(("nothing", grade, f"{score.weeks:.0f} weeks", "", kinds))
    return rows


def _title(kind: str) -> str:
    name, _, size = kind.partition("burst_")
    return f"burst of {size} % and more" if size and not name else kind.replace("_", " ")


def _names(score: Score, kind: str) -> str:
    named = sorted(
        ((number, name) for (event, name), number in score.alarm_kinds.items() if event == kind), reverse=True
    )
    return ", ".join(f"{name} {number}" for number, name in named)


def _percents(shares: Sequence[float]) -> str:
    return f"{' / '.join('–' if math.isnan(share) else f'{100 * share:.0f}' for share in shares)} %"


def _numbers(values: Sequence[float]) -> str:
    return " / ".join("–" if math.isnan(value) else f"{value:.0f}" for value in values)
