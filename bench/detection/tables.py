"""What the scores say, as rows of Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.detection.events import FAULTS, HARMLESS, LEGITIMATE
from bench.detection.scoring import BURST_SIZES, Score
from bench.detection.simulator import Grade

Pooled = Mapping[tuple[str, Grade], Score]
"""Detector and grade to the sum of its scores."""
METHODS = (
    "method", "bursts found", "of 10 % of mean flow and more", "leaks found in 14 days", "faults found", "precision",
    "false alarms a week", "legitimate called leak", "burst delay, median min", "leak delay, median days",
)  # fmt: skip
MUST = ("must", "45 / 20 %", "80 / 45 %", "75 / 45 %", "96 / 94 %", "", "1.0 / 1.0", "8 / 8 %", "120 / 360", "")
KINDS = ("what happened", "grade", "times", "found", "alarms that it had, and at how many of them")


def method_rows(pooled: Pooled, grades: Sequence[Grade]) -> list[tuple[str, ...]]:
    """A row for each detector, grades side by side."""
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(name for name, _ in pooled):
        found = [pooled[name, grade] for grade in grades]
        rows.append(
            (
                name,
                _percents([one.recall("burst") for one in found]),
                _percents([one.recall("large_burst") for one in found]),
                _percents([one.recall("leak") for one in found]),
                _percents([one.recall(*FAULTS) for one in found]),
                _percents([one.precision for one in found]),
                " / ".join(f"{one.false_per_week:.1f}" for one in found),
                _percents([one.legitimate_called_loss for one in found]),
                _numbers([one.delay("burst") for one in found]),
                _numbers([one.delay("leak") / 1440 for one in found]),
            )
        )
    return rows


def kind_rows(pooled: Pooled, detector: str, grades: Sequence[Grade]) -> list[tuple[str, ...]]:
    """What one detector made of each kind of event, and its false alarms by kind."""
    rows: list[tuple[str, ...]] = []
    bursts = [f"burst_{100 * size:.0f}" for size in BURST_SIZES]
    for kind in (*bursts, "leak", *FAULTS, *HARMLESS, *LEGITIMATE):
        for grade in grades:
            one = pooled[detector, grade]
            if one.events[kind]:
                found = "" if kind in LEGITIMATE else f"{one.hits[kind]}"
                rows.append((_title(kind), grade, str(one.events[kind]), found, _names(one, kind)))
    for grade in grades:
        one = pooled[detector, grade]
        kinds = ", ".join(f"{kind} {number}" for kind, number in one.false_kinds.most_common())
        rows.append(("nothing", grade, f"{one.weeks:.0f} weeks", "", kinds))
    return rows


def _title(kind: str) -> str:
    name, _, size = kind.partition("burst_")
    return f"burst of {size} % and more" if size and not name else kind.replace("_", " ")


def _names(one: Score, kind: str) -> str:
    named = sorted(((number, name) for (event, name), number in one.named.items() if event == kind), reverse=True)
    return ", ".join(f"{name} {number}" for number, name in named)


def _percents(shares: Sequence[float]) -> str:
    return f"{' / '.join('–' if math.isnan(share) else f'{100 * share:.0f}' for share in shares)} %"


def _numbers(values: Sequence[float]) -> str:
    return " / ".join("–" if math.isnan(value) else f"{value:.0f}" for value in values)
