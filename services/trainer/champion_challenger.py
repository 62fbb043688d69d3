"""Whether a candidate is better than what is in use, on weeks that neither has learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.trainer.diebold_mariano import diebold_mariano_p_value
from shared.contract.messages import SCORED_HORIZONS
from shared.domain.series import Floats, Ints

QUANTILE_LEVELS = np.array([0.1, 0.5, 0.9])
SIGNIFICANCE, LIKELY_LEVEL = 0.05, 0.25
"""Chances of a mere accident below which a difference is sure, or likely."""
MIN_GAIN = 0.01
"""Gain as a whole below which nothing changes: what serves is known from its scores, a candidate is not."""


@dataclass(frozen=True)
class Decision:
    """The outcome of champion against challenger."""

    promoted: bool
    reason: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """A candidate against one rival, at each horizon that is known (hours ahead)."""

    loss_ratios: dict[int, float]
    """Its pinball loss as a part of its rival's."""
    p_values: dict[int, float]
    """Near 0 the candidate is better, near 1 worse."""

    def is_better(self, level: float) -> bool:
        """Whether it is so at one horizon at least; it has so many tries (Bonferroni)."""
        return any(one < level / len(self.p_values) for one in self.p_values.values())

    @property
    def worse_horizons(self) -> list[int]:
        """Horizons at which it surely is, each by itself."""
        return [hours for hours, one in self.p_values.items() if one > 1 - SIGNIFICANCE]


def error_metrics(truth: Floats, quantiles: Floats) -> dict[str, float]:
    """Errors of forecasts (n, 169, 3) against what came (n, 169), in the channel's unit; unknown hours don't count."""
    missed = np.abs(truth - quantiles[..., 1])
    inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., 2])
    told = {f"mae_{hours}h": float(np.nanmean(missed[:, hours])) for hours in _scored_horizons(missed)}
    coverage = float(inside[~np.isnan(truth)].mean())
    return {
        "mae": float(np.nanmean(missed)),
        **told,
        "pinball": float(np.nanmean(_pinball_loss(truth, quantiles))),
        "coverage": coverage,
    }


def compare(truth: Floats, own: Floats, other: Floats, days: Ints) -> Comparison:
    """Compares the pinball losses of two sets of forecasts (n, 169, 3) issued at the same hours of `days` (n)."""
    mine, its = _pinball_loss(truth, own), _pinball_loss(truth, other)
    known = _scored_horizons(mine + its)
    both = {hours: ~np.isnan(mine[:, hours] + its[:, hours]) for hours in known}
    ratios = {
        hours: float(mine[both[hours], hours].mean() / max(its[both[hours], hours].mean(), 1e-12)) for hours in known
    }
    return Comparison(
        ratios, {hours: diebold_mariano_p_value(mine[:, hours] - its[:, hours], days, hours) for hours in known}
    )


def decide(
    truth: Floats, candidate: Floats, champion: Floats, champion_name: str, days: Ints, profile: Floats | None = None
) -> Decision:
    """Whether a candidate takes the place of what is in use, called `name`; `usual` is the profile's, where it isn't.

    It must be better by a hundredth taken as a whole (pinball loss and mean error together), surely better at one
    horizon, so that no luck of a few days changes the model, and surely worse at none, neither than what is in use
    nor than the profile. The profile gives way to what is likely better, since it is put back when every day's
    scores show an error. A refused candidate is followed by another a week later: who is better is found out sooner
    or later.
    """
    own, other = error_metrics(truth, candidate), error_metrics(truth, champion)
    ratios = [own[metric] / max(other[metric], 1e-12) for metric in ("pinball", "mae")]
    rivals = {champion_name: compare(truth, candidate, champion, days)}
    if profile is not None:
        rivals["the profile"] = compare(truth, candidate, profile, days)
    gain = 1.0 - sum(ratios) / len(ratios)
    refusals = [
        f"surely worse than {rival} {_horizons_text(one.worse_horizons)}"
        for rival, one in rivals.items()
        if one.worse_horizons
    ]
    if gain < MIN_GAIN:
        refusals.insert(0, f"gains less than {100 * MIN_GAIN:.0f} % as a whole" if gain > 0 else "not lower as a whole")
    elif not rivals[champion_name].is_better(SIGNIFICANCE if profile is not None else LIKELY_LEVEL):
        refusals.append("what is better may be luck")
    reason = (
        f"{'not better' if refusals else 'better'} than {champion_name} on {len(truth)} held-back hours: "
        f"pinball {ratios[0]:.3f}, mean error {ratios[1]:.3f} of its"
    )
    reason = "; ".join([f"{reason}{_ratios_text(rivals[champion_name])}", *refusals])
    metrics = {**own, **_prefixed("used", other, rivals[champion_name])}
    if profile is not None:
        metrics |= _prefixed("profile", error_metrics(truth, profile), rivals["the profile"])
    else:
        metrics |= _prefixed("profile", other, rivals[champion_name])
    return Decision(not refusals, reason, metrics)


def _pinball_loss(truth: Floats, quantiles: Floats) -> Floats:
    """(n, 169) loss of p10, p50 and p90 together (Koenker and Bassett, 1978); NaN where unknown."""
    difference = truth[..., None] - quantiles
    loss: Floats = np.maximum(QUANTILE_LEVELS * difference, (QUANTILE_LEVELS - 1) * difference).mean(axis=-1)
    return loss


def _scored_horizons(missed: Floats) -> list[int]:
    return [hours for hours in SCORED_HORIZONS if not np.isnan(missed[:, hours]).all()]


def _ratios_text(one: Comparison) -> str:
    told = (f"at {hours} h {ratio:.3f} (chance {one.p_values[hours]:.3f})" for hours, ratio in one.loss_ratios.items())
    return "; pinball " + ", ".join(told)


def _horizons_text(horizons: list[int]) -> str:
    return "at " + ", ".join(f"{hours} h" for hours in horizons)


def _prefixed(rival: str, found: dict[str, float], one: Comparison) -> dict[str, float]:
    chances = {f"{rival}_chance_{hours}h": value for hours, value in one.p_values.items()}
    return {**{f"{rival}_{metric}": value for metric, value in found.items()}, **chances}
