"""Errors of forecasts over those of the previous week, pinball loss and coverage, at some hours ahead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from shared.domain.hour_of_week import WEEK_HOURS
from shared.domain.series import Floats, Ints

REPORTED_HORIZONS = (1, 24, 168)
"""Hours between the issue of a forecast and the start of the hour that is meant."""
QUANTILE_LEVELS = np.array([0.1, 0.5, 0.9])
Cell = tuple[str, int]
"""Channel and hours ahead."""
Hour = TypeVar("Hour", int, Ints)


def week_before(at: Hour, ahead: int) -> Hour:
    """The hour whose value the previous week gives for an hour that lies so far ahead; it must be known at issue."""
    return at - WEEK_HOURS * (1 + (ahead >= WEEK_HOURS))


@dataclass
class RelativeScores:
    """Of one forecaster over all sites."""

    mae_ratios: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A site's mean absolute error over that of the previous week."""
    pinball_ratios: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A site's mean pinball loss of p10, p50 and p90 over the previous week's mean absolute error."""
    coverages: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A site's share of hours between p10 and p90, whatever the previous week was."""
    training_seconds: list[float] = field(default_factory=list)
    """Seconds."""
    inference_milliseconds: list[float] = field(default_factory=list)
    """Milliseconds of one channel's week."""

    def add(self, cell: Cell, came: Floats, said: Floats, week_before: Floats) -> None:
        """Adds a site: (n,) or (n, 3) forecasts, what came, and what the previous week would have said."""
        if said.ndim == 2 and not np.isnan(came).all():
            known = ~np.isnan(came)
            self.coverages[cell].append(float(((said[:, 0] <= came) & (came <= said[:, 2]))[known].mean()))
        whole = ~np.isnan(came) & ~np.isnan(week_before)
        if not whole.any():  # as at a site that leaked all the time
            return
        came, said, naive = came[whole], said[whole], np.abs(came - week_before)[whole].mean()
        middle = said[:, 1] if said.ndim == 2 else said
        self.mae_ratios[cell].append(float(np.nanmean(np.abs(came - middle)) / naive))
        if said.ndim == 2:
            difference = came[:, None] - said
            loss = np.maximum(QUANTILE_LEVELS * difference, (QUANTILE_LEVELS - 1) * difference).sum(axis=1)
            self.pinball_ratios[cell].append(float(np.nanmean(loss) / naive))

    def row(self, channel: str) -> Iterator[str]:
        """Errors, pinball loss and coverage at each of the hours ahead, seconds and milliseconds."""
        for name in ("errors", "losses", "inside"):
            cells = [getattr(self, name)[channel, ahead] for ahead in REPORTED_HORIZONS]
            figures = [np.mean(cell) * (100 if name == "inside" else 1) for cell in cells if cell]
            yield " / ".join(f"{figure:.{0 if name == 'inside' else 2}f}" for figure in figures)
        yield f"{np.mean(self.training_seconds):.0f} s" if self.training_seconds else ""
        yield f"{np.mean(self.inference_milliseconds):.1f} ms" if self.inference_milliseconds else ""
