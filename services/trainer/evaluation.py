"""Whether a candidate is better than what is in use, on weeks that neither has learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.domain.series import Floats

HORIZONS = (1, 24, 168)
"""Hours ahead that are told one by one: the first, the 24th and the 168th hour of a forecast."""
LEVELS = np.array([0.1, 0.5, 0.9])


@dataclass(frozen=True)
class Decision:
    """The outcome of champion against challenger."""

    promoted: bool
    reason: str
    metrics: dict[str, float]


def errors(truth: Floats, quantiles: Floats) -> dict[str, float]:
    """Errors of forecasts (n, 169, 3) against what came (n, 169), in the channel's unit; unknown hours don't count."""
    missed = np.abs(truth - quantiles[..., 1])
    inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., 2])
    difference = truth[..., None] - quantiles
    pinball = np.maximum(LEVELS * difference, (LEVELS - 1) * difference)
    told = {f"mae_{hours}h": float(np.nanmean(missed[:, hours - 1])) for hours in HORIZONS if _known(truth, hours)}
    coverage = float(inside[~np.isnan(truth)].mean())
    return {"mae": float(np.nanmean(missed)), **told, "pinball": float(np.nanmean(pinball)), "coverage": coverage}


def _known(truth: Floats, hours: int) -> bool:
    return not bool(np.isnan(truth[:, hours - 1]).all())


def decide(truth: Floats, candidate: Floats, used: Floats, name: str) -> Decision:
    """Promotes a candidate whose pinball loss and mean error, taken together, are below those of `name` in use."""
    own, other = errors(truth, candidate), errors(truth, used)
    ratios = [own[metric] / max(other[metric], 1e-12) for metric in ("pinball", "mae")]
    promoted = sum(ratios) / len(ratios) < 1.0
    reason = (
        f"{'better' if promoted else 'not better'} than {name} on {len(truth)} held-back hours: "
        f"pinball {ratios[0]:.3f}, mean error {ratios[1]:.3f} of its"
    )
    return Decision(promoted, reason, {**own, **{f"used_{metric}": value for metric, value in other.items()}})
