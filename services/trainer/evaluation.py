"""Whether a candidate is better than what is in use, on weeks that neither has learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.trainer.significance import chance
from shared.contract.messages import SCORED_HORIZONS
from shared.domain.series import Floats, Ints

LEVELS = np.array([0.1, 0.5, 0.9])
SURE, LIKELY = 0.05, 0.25
"""Chances of a mere accident below which a difference is sure, or likely."""
WORTH = 0.01
"""Gain as a whole below which nothing changes: what serves is known from its scores, a candidate is not."""


@dataclass(frozen=True)
class Decision:
    """The outcome of champion against challenger."""

    promoted: bool
    reason: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Duel:
    """A candidate against one rival, at each horizon that is known (hours ahead)."""

    ratios: dict[int, float]
    """Its pinball loss as a part of its rival's."""
    chances: dict[int, float]
    """Near 0 the candidate is better, near 1 worse."""

    def better(self, level: float) -> bool:
        """Whether it is so at one horizon at least; it has so many tries (Bonferroni)."""
        return any(one < level / len(self.chances) for one in self.chances.values())

    @property
    def worse(self) -> list[int]:
        """Horizons at which it surely is, each by itself."""
        return [hours for hours, one in self.chances.items() if one > 1 - SURE]


def errors(truth: Floats, quantiles: Floats) -> dict[str, float]:
    """Errors of forecasts (n, 169, 3) against what came (n, 169), in the channel's unit; unknown hours don't count."""
    missed = np.abs(truth - quantiles[..., 1])
    inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., 2])
    told = {f"mae_{hours}h": float(np.nanmean(missed[:, hours])) for hours in _known(missed)}
    coverage = float(inside[~np.isnan(truth)].mean())
    return {
        "mae": float(np.nanmean(missed)),
        **told,
        "pinball": float(np.nanmean(_pinball(truth, quantiles))),
        "coverage": coverage,
    }


def duel(truth: Floats, own: Floats, other: Floats, days: Ints) -> Duel:
    """Compares the pinball losses of two sets of forecasts (n, 169, 3) issued at the same hours of `days` (n)."""
    mine, its = _pinball(truth, own), _pinball(truth, other)
    known = _known(mine + its)
    both = {hours: ~np.isnan(mine[:, hours] + its[:, hours]) for hours in known}
    ratios = {
        hours: float(mine[both[hours], hours].mean() / max(its[both[hours], hours].mean(), 1e-12)) for hours in known
    }
    return Duel(ratios, {hours: chance(mine[:, hours] - its[:, hours], days, hours) for hours in known})


def decide(
    truth: Floats, candidate: Floats, used: Floats, name: str, days: Ints, usual: Floats | None = None
) -> Decision:
    """Whether a candidate takes the place of what is in use, called `name`; `usual` is the profile's, where it isn't.

    It must be better by a hundredth taken as a whole (pinball loss and mean error together), surely better at one
    horizon, so that no luck of a few days changes the model, and surely worse at none, neither than what is in use
    nor than the profile. The profile gives way to what is likely better, since it is put back when every day's
    scores show an error. A refused candidate is followed by another a week later: who is better is found out sooner
    or later.
    """
    own, other = errors(truth, candidate), errors(truth, used)
    ratios = [own[metric] / max(other[metric], 1e-12) for metric in ("pinball", "mae")]
    rivals = {name: duel(truth, candidate, used, days)}
    if usual is not None:
        rivals["the profile"] = duel(truth, candidate, usual, days)
    gain = 1.0 - sum(ratios) / len(ratios)
    refusals = [f"surely worse than {rival} {_at(one.worse)}" for rival, one in rivals.items() if one.worse]
    if gain < WORTH:
        refusals.insert(0, f"gains less than {100 * WORTH:.0f} % as a whole" if gain > 0 else "not lower as a whole")
    elif not rivals[name].better(SURE if usual is not None else LIKELY):
        refusals.append("what is better may be luck")
    reason = (
        f"{'not better' if refusals else 'better'} than {name} on {len(truth)} held-back hours: "
        f"pinball {ratios[0]:.3f}, mean error {ratios[1]:.3f} of its"
    )
    reason = "; ".join([f"{reason}{_told(rivals[name])}", *refusals])
    metrics = {**own, **_named("used", other, rivals[name])}
    if usual is not None:
        metrics |= _named("profile", errors(truth, usual), rivals["the profile"])
    else:
        metrics |= _named("profile", other, rivals[name])
    return Decision(not refusals, reason, metrics)


def _pinball(truth: Floats, quantiles: Floats) -> Floats:
    """(n, 169) loss of p10, p50 and p90 together (Koenker and Bassett, 1978); NaN where unknown."""
    difference = truth[..., None] - quantiles
    loss: Floats = np.maximum(LEVELS * difference, (LEVELS - 1) * difference).mean(axis=-1)
    return loss


def _known(missed: Floats) -> list[int]:
    return [hours for hours in SCORED_HORIZONS if not np.isnan(missed[:, hours]).all()]


def _told(one: Duel) -> str:
    told = (f"at {hours} h {ratio:.3f} (chance {one.chances[hours]:.3f})" for hours, ratio in one.ratios.items())
    return "; pinball " + ", ".join(told)


def _at(horizons: list[int]) -> str:
    return "at " + ", ".join(f"{hours} h" for hours in horizons)


def _named(rival: str, found: dict[str, float], one: Duel) -> dict[str, float]:
    chances = {f"{rival}_chance_{hours}h": value for hours, value in one.chances.items()}
    return {**{f"{rival}_{metric}": value for metric, value in found.items()}, **chances}
