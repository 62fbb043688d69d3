"""Scores relative to the previous week's: errors, pinball loss and coverage at some horizons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from shared.domain.hour_of_week import WEEK_HOURS
from shared.domain.series import Floats, Ints

REPORTED_HORIZONS = (1, 24, 168)
"""Hours between the issue of a forecast and the start of its target hour."""
QUANTILE_LEVELS = np.array([0.1, 0.5, 0.9])
Cell = tuple[str, int]
"""Channel and horizon."""
Hour = TypeVar("Hour", int, Ints)


def week_before(at: Hour, horizon: int) -> Hour:
    """Return the hour whose value is the previous week's forecast; it must be known at issue."""
    return at - WEEK_HOURS * (1 + (horizon >= WEEK_HOURS))


@dataclass
class RelativeScores:
    """Scores of one forecaster at all sites."""

    mae_ratios: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Each site's mean absolute error over that of the previous week."""
    pinball_ratios: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Each site's mean pinball loss of p10, p50 and p90 over the previous week's mean absolute error."""
    coverages: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Each site's share of hours between p10 and p90."""
    training_seconds: list[float] = field(default_factory=list)
    inference_milliseconds: list[float] = field(default_factory=list)
    """Of one channel's week."""

    def add(self, cell: Cell, actuals: Floats, forecasts: Floats, week_before: Floats) -> None:
        """Add a site: actuals (n,), forecasts (n,) or (n, 3), and the previous week's forecasts (n,)."""
        if forecasts.ndim == 2 and not np.isnan(actuals).all():
            is_known = ~np.isnan(actuals)
            is_inside = (forecasts[:, 0] <= actuals) & (actuals <= forecasts[:, 2])
            self.coverages[cell].append(float(is_inside[is_known].mean()))
        is_complete = ~np.isnan(actuals) & ~np.isnan(week_before)
        if not is_complete.any():  # for example at a site that leaked all the time
            return
        naive_mae = np.abs(actuals - week_before)[is_complete].mean()
        actuals, forecasts = actuals[is_complete], forecasts[is_complete]
        p50 = forecasts[:, 1] if forecasts.ndim == 2 else forecasts
        self.mae_ratios[cell].append(float(np.nanmean(np.abs(actuals - p50)) / naive_mae))
        if forecasts.ndim == 2:
            difference = actuals[:, None] - forecasts
            loss = np.maximum(QUANTILE_LEVELS * difference, (QUANTILE_LEVELS - 1) * difference).sum(axis=1)
            self.pinball_ratios[cell].append(float(np.nanmean(loss) / naive_mae))

    def row(self, channel: str) -> Iterator[str]:
        """Yield errors, pinball loss and coverage at each horizon, then seconds and milliseconds."""
        for scores, factor, decimals in (
            (self.mae_ratios, 1, 2),
            (self.pinball_ratios, 1, 2),
            (self.coverages, 100, 0),
        ):
            cells = [scores[channel, horizon] for horizon in REPORTED_HORIZONS]
            means = [np.mean(cell) * factor for cell in cells if cell]
            yield " / ".join(f"{mean:.{decimals}f}" for mean in means)
        yield f"{np.mean(self.training_seconds):.0f} s" if self.training_seconds else ""
        yield f"{np.mean(self.inference_milliseconds):.1f} ms" if self.inference_milliseconds else ""
